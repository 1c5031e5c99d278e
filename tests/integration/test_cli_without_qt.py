"""Every command but the window works where Qt is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import hearth

# As if neither were installed; a process of its own, since this one has loaded Qt long ago.
PROGRAM = """
import sys
sys.modules["PySide6"] = sys.modules["shiboken6"] = None
sys.argv[0] = "hearth"
from hearth.main import run
run()
"""


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(Path(hearth.__file__).parents[1])},
        check=False,
    )


def works(*arguments: str, stdin: str = "") -> str:
    result = run(*arguments, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_command(stories_int8: Path) -> None:
    works("models", "import", str(stories_int8), "--name", "one")
    works("models", "alias", "one", "uno")
    works("models", "verify", "uno")
    works("models", "show", "uno")
    assert works("run", "uno", "Once", "--raw", "--max-tokens", "4", "--temperature", "0").strip()
    assert works("chat", "uno", stdin="Once\n").strip()
    works("bench", "uno", "--prompt-tokens", "8", "--generate-tokens", "4", "--repeat", "1")
    assert "PySide6 is not installed" in works("doctor")
    works("models", "remove", "one", "--yes")
    assert '"one"' not in works("models", "list", "--json")
    assert works("run", "hearth-starter", "27 + 58", "--temperature", "0").strip()


def test_the_window_says_what_is_missing() -> None:
    result = run()
    assert result.returncode == 1
    assert result.stderr.startswith("hearth: The window needs PySide6")
    assert result.stderr.count("\n") == 1
