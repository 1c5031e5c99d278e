"""The program as a whole: version, help, exit codes, and what it says when something goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hearth as package
from command_line import hearth
from hearth.models.registry import ModelRegistry


def run_process(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), **environment}
    return subprocess.run(
        [sys.executable, "-m", "hearth", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={name: value for name, value in env.items() if value},
        input=stdin,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--version"], ["--version", "chat"]])
def test_the_version(arguments: list[str]) -> None:
    result = hearth(*arguments)
    assert (result.code, result.out) == (0, f"hearth {package.__version__}\n")


def test_the_version_loads_nothing_heavy() -> None:
    code = (
        "import sys; from hearth.main import main; main(['--version']); "
        "print([m for m in ('typer', 'rich', 'sqlalchemy', 'numpy', 'msgspec', 'psutil') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert result.stdout.splitlines()[1] == "[]"


@pytest.mark.parametrize(
    "command", [[], ["run"], ["chat"], ["models"], ["models", "import"], ["bench"], ["doctor"]]
)
def test_every_command_has_help(command: list[str]) -> None:
    result = hearth(*command, "--help")
    assert result.code == 0
    assert "Usage: hearth" in result.out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["run"], ["models", "show"], ["--nonsense"], ["run", "m", "p", "--top-k", "x"]],
)
def test_a_command_line_without_sense_ends_with_2(arguments: list[str]) -> None:
    result = hearth(*arguments)
    assert result.code == 2
    assert result.out == ""
    assert "Usage: hearth" in result.err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be without a display")
def test_without_a_display_it_says_so_and_chats_in_the_terminal() -> None:
    result = run_process(stdin="What is 27 + 58?\n", DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert result.returncode == 0, result.stderr
    assert "no display" in result.stderr.splitlines()[0]
    assert "= 85" in result.stdout  # the starter is there from the first minute


def test_an_unexpected_error_is_one_line_and_the_log_has_the_rest(
    hearth_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: ModelRegistry) -> None:
        raise RuntimeError("the sky\nfell")

    monkeypatch.setattr(ModelRegistry, "list", broken)
    line = hearth("models", "list").error_line()
    log_file = hearth_home / "logs" / "hearth.log"
    assert "RuntimeError: the sky fell" in line
    assert str(log_file) in line
    assert "Traceback" in log_file.read_text()


def test_ctrl_c_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: ModelRegistry) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelRegistry, "list", interrupted)
    assert hearth("models", "list").code == 130


def test_the_probe_answers_in_json() -> None:
    result = hearth("--probe")
    assert "CPUExecutionProvider" in result.json["providers"]


def test_a_pipe_that_closes_is_no_error_message() -> None:
    env = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-m", "hearth", "models", "list", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
