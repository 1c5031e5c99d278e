"""llama.cpp beside Hearth: the same weights in a GGUF give the same answers, and both are measured in one run.

Needs the environment that `make bench-peer` sets up.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from command_line import hearth
from hearth.engine.relative_error import relative_error
from hearth.services.benchmark.peer_side import PYTHON, PeerFailed, PeerOptions, PeerSide
from hearth.services.benchmark.side import Forced

CONVERTER = Path(__file__).parents[1] / "benchmarks" / "make_gguf.py"

Convert = Callable[..., Path]


@pytest.fixture
def peer_python() -> Path:
    if not PYTHON.exists():
        pytest.skip("llama.cpp is not here: make bench-peer")
    return PYTHON


@pytest.fixture
def checkpoint(shared_data: Path) -> Path:
    return shared_data / "models" / "stories260k"


@pytest.fixture
def convert(checkpoint: Path, tmp_path: Path, peer_python: Path) -> Convert:
    def run(type_name: str, *options: str) -> Path:
        out = tmp_path / f"{type_name}.gguf"
        command = [str(peer_python), str(CONVERTER), str(checkpoint), str(out), "--type", type_name, *options]
        subprocess.run(command, check=True, capture_output=True)
        return out

    return run


def logits(file: Path, forced: Forced, tmp_path: Path) -> np.ndarray:
    side = PeerSide(PeerOptions(file), threads=1)
    try:
        return side.logits(file, forced, tmp_path / "logits.npy")
    finally:
        side.unload()


def test_a_converted_model_gives_the_golden_tokens(
    convert: Convert, checkpoint: Path, tmp_path: Path
) -> None:
    golden = json.loads((checkpoint / "golden.json").read_text())
    tokens = golden["greedy_ids"]
    forced = Forced([[golden["bos"]]], [tokens[:-1]])
    rows = logits(convert("f32"), forced, tmp_path)
    assert rows.argmax(axis=1).tolist() == tokens
    np.testing.assert_allclose(rows[0], golden["logits_pos0"], atol=2e-2)  # its keys and values are float16
    rounded = logits(convert("q8_0"), forced, tmp_path)
    assert np.mean(rounded.argmax(axis=1) == tokens) > 0.95


def test_a_reference_has_the_quantized_weights(convert: Convert, tmp_path: Path) -> None:
    reference = tmp_path / "reference.gguf"
    quantized = convert("q4_0", "--reference", str(reference))
    forced = Forced.of(512)
    plain, rounded, exact = (
        logits(file, forced, tmp_path) for file in (convert("f32"), quantized, reference)
    )
    assert 0 < relative_error(rounded, exact) < relative_error(exact, plain) / 2


def test_both_are_measured_in_one_run(convert: Convert, stories_int8: Path, tmp_path: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    reference = tmp_path / "reference.gguf"
    model = convert("q4_0", "--reference", str(reference))
    # One thread: on a busy machine llama.cpp's threads wait for each other far longer than they work.
    options = ["--prompt-tokens", "32", "--generate-tokens", "8", "--threads", "1"]
    options += ["--peer", "llama.cpp", "--peer-model", str(model), "--peer-reference", str(reference)]
    report = hearth("bench", "one", *options, "--contexts", "0,100", "--repeat", "2", "--json").json
    assert report["peer"].startswith("llama-cpp-python ")
    assert {figure["what"] for figure in report["figures"]} >= {"load_warm", "prefill", "decode", "noise"}
    for figure in report["figures"]:
        assert figure["peer"] > 0
        assert figure["ratio"] == pytest.approx(_ratio(figure))
        assert len(figure["peer_runs"]) == len(figure["hearth_runs"])
    text = hearth("bench", "one", *options, "--contexts", "0", "--streams", "1", "--repeat", "1").out
    assert "LLAMA.CPP" in text
    assert "TIMES AS GOOD" in text


def _ratio(figure: dict[str, Any]) -> float:
    ours, other = figure["hearth"], figure["peer"]
    return float(ours / other if figure["unit"] == "tokens/s" else other / ours)


def test_what_is_no_model_is_told_in_one_line(peer_python: Path, stories_int8: Path, tmp_path: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"not a model")
    line = hearth("bench", "one", "--peer", "llama.cpp", "--peer-model", str(broken)).error_line()
    assert "llama.cpp failed" in line


def test_a_peer_that_ends_fails_what_was_asked_of_it(convert: Convert) -> None:
    side = PeerSide(PeerOptions(convert("f32")), threads=1)
    side.load()
    psutil.Process(side.pid()).kill()
    with pytest.raises(PeerFailed):
        side.prefill(32, 0)
    side.unload()
