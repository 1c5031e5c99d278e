"""Everything but the window works where Qt is not installed, and no front loads what only an engine host needs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hearth

PACKAGE = Path(hearth.__file__).parent

# Put before a program: importing one of these fails as if it were not installed.
FORBID = """
import sys
from importlib.abc import MetaPathFinder

class Forbidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Forbidden())
"""

QT = ("PySide6", "shiboken6")


def modules() -> list[str]:
    """Every module of Hearth that can be imported: not `__main__`, which runs, nor migrations, which Alembic loads."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if not {"__main__", "migrations", "_resources"} & set(parts):
            found.append(".".join(parts).removesuffix(".__init__"))
    return found


def run(program: str, *arguments: str, without: tuple[str, ...] = QT) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own, in which the packages `without` cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", FORBID.format(names=without) + program, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), "PYTHONIOENCODING": "utf-8"},
    )


def run_hearth(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run("sys.argv[0] = 'hearth'\nfrom hearth.main import run\nrun()", *arguments)


def test_every_module_outside_the_window_imports_without_qt() -> None:
    names = [name for name in modules() if not re.match(r"hearth\.ui\b", name)]
    result = run("import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)", *names)
    assert result.returncode == 0, result.stderr


def test_the_forbidden_package_is_really_out_of_reach() -> None:
    result = run("import PySide6")
    assert result.returncode == 1
    assert "ModuleNotFoundError" in result.stderr


def test_the_version_is_shown_without_qt() -> None:
    result = run_hearth("--version")
    assert result.returncode == 0, result.stderr
    assert hearth.__version__ in result.stdout


def test_models_are_listed_without_qt() -> None:
    result = run_hearth("models", "list", "--json")
    assert result.returncode == 0, result.stderr
    assert [model["name"] for model in json.loads(result.stdout)] == ["hearth-starter"]


def test_the_services_and_the_command_line_never_load_onnx_runtime() -> None:
    """It belongs to the engine host; a desktop that carried it would be larger and less safe."""
    names = [name for name in modules() if re.match(r"hearth\.(services|cli|main)\b", name)]
    program = "import importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
    result = run(program, *names, without=("onnxruntime",))
    assert result.returncode == 0, result.stderr
