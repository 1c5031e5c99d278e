"""Every command but the window works where Qt is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

import hearth

# As if neither were installed; a process of its own, since this one may have loaded Qt long ago.
PROGRAM = """
import sys
sys.modules["PySide6"] = sys.modules["shiboken6"] = None
sys.argv[0] = "hearth"
from hearth.main import run
run()
"""


# Command lines and what is typed into each, one after the other; then what each one said and how it ended.
PROGRAMS = """
import sys
sys.modules["PySide6"] = sys.modules["shiboken6"] = None
import msgspec
from command_line import hearth
results = [hearth(*line, stdin=typed) for line, typed in msgspec.json.decode(sys.argv[1])]
sys.stdout.buffer.write(msgspec.json.encode(results))
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[1]
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(hearth.__file__).parents[1]), str(here)]),
        },
        check=False,
    )


def test_every_command(stories_int8: Path) -> None:
    """One after the other in one process."""
    lines = [
        (["models", "import", str(stories_int8), "--name", "one"], ""),
        (["models", "alias", "one", "uno"], ""),
        (["models", "verify", "uno"], ""),
        (["models", "show", "uno"], ""),
        (["run", "uno", "Once", "--raw", "--max-tokens", "4", "--temperature", "0"], ""),
        (["chat", "uno"], "Once\n"),
        (["bench", "uno", "--prompt-tokens", "8", "--generate-tokens", "4", "--repeat", "1"], ""),
        (["doctor"], ""),
        (["models", "remove", "one", "--yes"], ""),
        (["models", "list", "--json"], ""),
        (["run", "hearth-starter", "27 + 58", "--temperature", "0"], ""),
    ]
    process = run(PROGRAMS, msgspec.json.encode(lines).decode())
    assert process.returncode == 0, process.stderr
    results = msgspec.json.decode(process.stdout, type=list[tuple[int, str, str]])
    said = {" ".join(line[:2]): out for (line, _), (_, out, _) in zip(lines, results, strict=True)}
    assert [(code, err) for code, _, err in results if code] == []
    for answering in ("run uno", "chat uno", "run hearth-starter"):
        assert said[answering].strip()
    assert "PySide6 is not installed" in said["doctor"]
    assert '"one"' not in said["models list"]


def test_the_window_says_what_is_missing() -> None:
    result = run(PROGRAM)
    assert result.returncode == 1
    assert result.stderr.startswith("hearth: The window needs PySide6")
    assert result.stderr.count("\n") == 1
