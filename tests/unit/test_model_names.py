"""Names of models are safe folder names on every system."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import ModelNameInvalid
from hearth.models.names import check_name, clean_name, is_name, suggest_name


@pytest.mark.parametrize("name", ["a", "0", "llama-3.2_1b", "x" * 64, "console", "com10"])
def test_good_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        ".a",
        "_a",
        "A",
        "a b",
        "a/b",
        "..",
        "x" * 65,
        "é",
        "con",
        "nul.onnx",
        "com1",
        "lpt0.x",
        "a.",
        "a\n",
    ],
)
def test_bad_names_are_refused_with_a_good_one(name: str) -> None:
    with pytest.raises(ModelNameInvalid) as caught:
        check_name(name)
    assert is_name(caught.value.params["suggestion"])


@given(st.text(max_size=100))
def test_any_text_has_a_valid_name_near_it(text: str) -> None:
    name = clean_name(text)
    assert is_name(name)
    assert clean_name(name) == name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/models/Phi-3.5 mini", "phi-3.5-mini"),
        ("/data/stories260k-onnx/float32", "stories260k-onnx-float32"),
        ("/m/Phi-3/cpu_and_mobile/cpu-int4-rtn-block-32", "phi-3-cpu_and_mobile-cpu-int4-rtn-block-32"),
        ("/hub/models--microsoft--phi-4/snapshots/" + "0a" * 20 + "/onnx", "microsoft-phi-4-onnx"),
        ("/", "model"),
        ("/onnx", "onnx"),
    ],
)
def test_a_name_comes_from_the_telling_part_of_the_path(path: str, name: str) -> None:
    assert suggest_name(Path(path), ()) == name


def test_a_taken_name_gets_a_number_within_the_length() -> None:
    assert suggest_name(Path("/a/phi"), {"phi", "phi-2"}) == "phi-3"
    assert suggest_name(Path("/a/" + "x" * 64), {"x" * 64}) == "x" * 62 + "-2"
