"""The map of the code, app/hearth/README.md, has one line for each file and none for a file that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import hearth

PACKAGE = Path(hearth.__file__).parent


def test_the_map_names_every_module_once() -> None:
    text = (PACKAGE / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([\w/]+\.py)` \| \S", text, flags=re.MULTILINE)
    modules = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if file.name != "__init__.py" or file.parent == PACKAGE
    }
    assert sorted(named) == sorted(set(named))
    assert modules - set(named) == set(), "without a line in app/hearth/README.md"
    assert set(named) - modules == set(), "in app/hearth/README.md, but no such file"
