"""The pinned requirement files fit pyproject.toml, agree with each other, and can be checked byte for byte."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FILES = sorted((ROOT / "packaging" / "requirements").glob("*.txt"))

BASE = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = {
    name: [item for item in group if isinstance(item, str)]
    for name, group in PROJECT["dependency-groups"].items()
}

# What each file must pin.
HOLDS = {
    "base": BASE,
    "desktop": [*BASE, *EXTRAS["desktop"]],
    "dev": [*BASE, *EXTRAS["desktop"], *GROUPS["build"], *GROUPS["dev"]],
    "gguf": [*BASE, *EXTRAS["gguf"]],
    "ggml": [*BASE, *EXTRAS["ggml"]],
    "peer": [*BASE, *GROUPS["peer"]],
    "train": [*BASE, *GROUPS["train"]],
    "build": GROUPS["build"],
    "lock": GROUPS["lock"],
}


def pins(file: Path) -> dict[str, set[Version]]:
    """Name to its pinned versions; there may be one for each range of Pythons."""
    found: dict[str, set[Version]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([\w.-]+)==([^\s;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), set()).add(Version(match[2]))
    return found


def test_there_is_a_file_for_each_selection() -> None:
    assert {file.stem for file in FILES} == set(HOLDS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_dependency_is_pinned_within_its_bounds(file: Path) -> None:
    pinned = pins(file)
    for text in HOLDS[file.stem]:
        requirement = Requirement(text)
        versions = pinned[canonicalize_name(requirement.name)]
        assert all(version in requirement.specifier for version in versions), text


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_pin_has_hashes_and_no_address(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    logical_lines = re.sub(r"\\\n\s*", "", text).splitlines()
    for line in logical_lines:
        assert line.startswith("#") or "--hash=sha256:" in line


def test_the_files_agree_with_each_other() -> None:
    dev = pins(ROOT / "packaging" / "requirements" / "dev.txt")
    for file in FILES:
        for name, versions in pins(file).items():
            assert versions <= dev.get(name, versions), f"{name} in {file.name}"
