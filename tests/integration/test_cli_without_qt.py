"""Every command but the window works where Qt is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_line import hearth


@pytest.fixture(autouse=True)
def no_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("PySide6", "shiboken6")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("PySide6", "shiboken6"):
        monkeypatch.setitem(sys.modules, name, None)


def test_qt_is_really_out_of_reach() -> None:
    with pytest.raises(ImportError):
        __import__("PySide6.QtCore")


def test_every_command(stories_int8: Path) -> None:
    short = ["--max-tokens", "4", "--temperature", "0"]
    assert hearth("models", "import", str(stories_int8), "--name", "one").code == 0
    assert hearth("models", "alias", "one", "uno").code == 0
    assert hearth("models", "verify", "uno").code == 0
    assert hearth("models", "show", "uno").code == 0
    assert hearth("run", "uno", "Once", "--raw", *short).code == 0
    assert hearth("chat", "uno", stdin="Once\n").code == 0
    assert hearth("bench", "uno", "--prompt-tokens", "8", "--generate-tokens", "4", "--repeat", "1").code == 0
    assert hearth("doctor", "--json").json["qt"] == ""
    assert "PySide6 is not installed" in hearth("doctor").out
    assert hearth("models", "remove", "one", "--yes").code == 0
    assert hearth("models", "list", "--json").json == []
