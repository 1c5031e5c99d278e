"""Why the system refused, in the reader's language."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth import i18n
from hearth.errors import because


def test_a_usual_reason_is_translated(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        (tmp_path / "nothing").read_bytes()
    assert because(missing.value) == "it does not exist"
    i18n.use_language("zh")
    assert because(missing.value) == "它不存在"


def test_another_reason_is_the_systems_own() -> None:
    assert because(OSError(99999, "the tape is torn")) == "the tape is torn"
    assert because(OSError("the tape is torn")) == "the tape is torn"
