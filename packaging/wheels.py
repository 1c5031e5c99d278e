"""Proves that every dependency comes as a wheel whose native libraries are for the system and processor it goes to.

    python packaging/wheels.py [--unpinned]

`make wheels` runs it. For the base and each extra of pyproject.toml, on each system and Python of Hearth: uv resolves
it there with wheels alone, within the pins of packaging/requirements (--unpinned: to what an install takes today), the
wheels are fetched to build/wheels, once, and the header of every file in them is read. It prints the packages with their
sizes, one line for each problem, and exits with 1 where there is one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from itertools import product
from pathlib import Path
from shutil import copyfileobj

from packaging.markers import Environment, default_environment
from packaging.pylock import PackageWheel, Pylock, PylockSelectError
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from wheel_contents import WheelContents, read_wheel

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "packaging" / "requirements"
FOLDER = ROOT / "build" / "wheels"
PYTHONS = ((3, 11), (3, 12), (3, 13))
BASE = "base"
TRIES = 3

# The oldest systems that Hearth is for.
MACOS = (14, 0)  # ONNX Runtime has no wheel for older ones
GLIBC = 34  # 2.34, as in Ubuntu 22.04, Debian 12 and RHEL 9: Qt has no wheel for older ones


@dataclass(frozen=True)
class Target:
    """A system and processor.

    Attributes:
        uv: the name that uv has for it.
        platforms: the platform tags that are installed there, best first.
    """

    system: str
    processor: str
    uv: str
    platforms: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.system} {self.processor}"


TARGETS = (
    Target("macOS", "arm64", "aarch64-apple-darwin", tuple(mac_platforms(MACOS, "arm64"))),
    Target("Windows", "x64", "x86_64-pc-windows-msvc", ("win_amd64",)),
    Target(
        "Linux",
        "x64",
        f"x86_64-manylinux_2_{GLIBC}",
        (
            *(f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC, 4, -1)),
            *(f"manylinux{old}_x86_64" for old in ("2014", "2010", "1")),
        ),
    ),
)


class WheelError(Exception):
    """One line for a person."""


@dataclass(frozen=True, order=True)
class Choice:
    """The wheel that an installer would take."""

    package: str
    version: str
    file: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Resolution:
    """What an install of one selection, the base or an extra, brings to a target."""

    selection: str
    target: Target
    python: tuple[int, int]
    choices: tuple[Choice, ...]


def resolve(selection: str, target: Target, python: tuple[int, int], pinned: bool) -> Resolution:
    """The wheels for the base or an extra.

    Raises:
        WheelError: a package has no wheel for the target.
    """
    version = ".".join(map(str, python))
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format=pylock.toml"),
        *("--only-binary=:all:", f"--python-platform={target.uv}", f"--python-version={version}"),
        *([f"--constraints={REQUIREMENTS / selection}.txt"] if pinned else []),
        *([f"--extra={selection}"] if selection != BASE else []),
        "pyproject.toml",
    ]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, MACOS))}
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise WheelError(reason(ran.stderr))
    lock = Pylock.from_dict(tomllib.loads(ran.stdout))
    try:
        found = list(lock.select(environment=markers(version), tags=tags(target, python)))
    except PylockSelectError as error:
        raise WheelError(str(error)) from error
    choices = []
    for package, wheel in found:
        if not isinstance(wheel, PackageWheel) or wheel.url is None:
            raise WheelError(f"{package.name} has no wheel to fetch")
        choices.append(
            Choice(package.name, str(package.version), wheel.filename, wheel.url, wheel.hashes["sha256"])
        )
    return Resolution(selection, target, python, tuple(choices))


def reason(complaint: str) -> str:
    """Why uv found no resolution, on one line."""
    start = max(complaint.find("Because"), 0)
    return " ".join(complaint[start:].split("\n\n", maxsplit=1)[0].split())


def markers(python: str) -> Environment:
    """The Python that is resolved for. The rest does not matter: uv has left no markers in what it resolved."""
    environment = default_environment()
    environment["python_version"] = python
    environment["python_full_version"] = f"{python}.0"
    return environment


def tags(target: Target, python: tuple[int, int]) -> Sequence[Tag]:
    """The tags that pip of that Python accepts there, best first."""
    interpreter = f"cp{python[0]}{python[1]}"
    return [
        *cpython_tags(python, [interpreter], target.platforms),
        *compatible_tags(python, interpreter, target.platforms),
    ]


def fetch(choice: Choice) -> Path:
    """The wheel's file, fetched where it is not there yet.

    Raises:
        WheelError: it could not be fetched, or is not the file that the index promised.
    """
    file = FOLDER / choice.file
    if file.exists() and digest(file) == choice.sha256:
        return file
    part = file.with_name(f"{file.name}.part")
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(choice.url, timeout=60) as source, part.open("wb") as target:
                copyfileobj(source, target)
        except (OSError, HTTPException) as error:
            if not left:
                raise WheelError(f"{choice.file} could not be fetched: {error}") from error
        else:
            break
    if digest(part) != choice.sha256:
        raise WheelError(f"{choice.file} is not the file that the index promised")
    part.replace(file)
    return file


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def read_all(choices: Iterable[Choice]) -> tuple[dict[Choice, WheelContents], list[str]]:
    """The contents of all wheels, and a line for each that cannot be had."""
    read, problems = {}, []
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(4) as pool:
        waiting = {choice: pool.submit(fetch, choice) for choice in sorted(set(choices))}
        for choice, fetched in waiting.items():
            try:
                read[choice] = read_wheel(fetched.result())
            except (WheelError, ValueError) as error:
                problems.append(str(error))
    return read, problems


def package_table(
    target: Target, resolutions: Sequence[Resolution], read: dict[Choice, WheelContents]
) -> str:
    """The packages that go to a target: of the wheels for several Pythons, the largest."""
    rows: dict[tuple[str, str], list[tuple[Choice, str]]] = {}
    for resolution in resolutions:
        for choice in resolution.choices:
            if resolution.target == target and choice in read:
                rows.setdefault((choice.package, choice.version), []).append((choice, resolution.selection))
    lines = [("package", "version", "MB", "native libraries", "in")]
    for (package, version), uses in sorted(rows.items()):
        largest = max((read[choice] for choice, _ in uses), key=lambda wheel: wheel.size)
        selections = dict.fromkeys(selection for _, selection in uses)
        where = BASE if BASE in selections else ", ".join(selections)
        lines.append((package, version, megabytes(largest.size), largest.summary(), where))
    return f"{target}\n{columns(lines)}"


def sum_table(resolutions: Sequence[Resolution], read: dict[Choice, WheelContents]) -> str:
    """For the newest Python: the sizes of all wheels, packed and unpacked, and the oldest system that takes them."""
    newest = [resolution for resolution in resolutions if resolution.python == PYTHONS[-1]]
    selections = dict.fromkeys(resolution.selection for resolution in newest)
    lines = [("MB, packed / unpacked", *map(str, TARGETS))]
    for name, group in [*((name, {name}) for name in selections), ("all together", set(selections))]:
        cells = []
        for target in TARGETS:
            choices = {
                choice
                for resolution in newest
                if resolution.target == target and resolution.selection in group
                for choice in resolution.choices
                if choice in read
            }
            packed = sum(read[choice].size for choice in choices)
            unpacked = sum(read[choice].unpacked for choice in choices)
            cells.append(f"{megabytes(packed)} / {megabytes(unpacked)}, {oldest_platform(target, choices)}")
        lines.append((name, *cells))
    return f"Python {'.'.join(map(str, PYTHONS[-1]))}\n{columns(lines)}"


def oldest_platform(target: Target, choices: Iterable[Choice]) -> str:
    """The platform tag of the oldest system that takes all these wheels."""
    oldest = []  # for each wheel, as a place in the target's platforms, which begin with the newest
    for choice in choices:
        names = {tag.platform for tag in parse_wheel_filename(choice.file)[3]}
        if "any" not in names:
            oldest.append(max(place for place, name in enumerate(target.platforms) if name in names))
    return target.platforms[min(oldest, default=-1)]


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description="Prove that every dependency comes as a fitting wheel.")
    arguments.add_argument("--unpinned", action="store_true", help="not within the pins: what is newest")
    pinned = not arguments.parse_args().unpinned
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    resolutions, problems = [], []
    for selection, target, python in product((BASE, *project["optional-dependencies"]), TARGETS, PYTHONS):
        try:
            resolutions.append(resolve(selection, target, python, pinned))
        except WheelError as error:
            problems.append(f"{selection}, {target}, Python {python[0]}.{python[1]}: {error}")
    read, unread = read_all(choice for resolution in resolutions for choice in resolution.choices)
    problems += unread
    goes_to = {
        (choice, resolution.target)
        for resolution in resolutions
        for choice in resolution.choices
        if choice in read
    }
    for choice, target in sorted(goes_to, key=str):
        for problem in read[choice].problems(target.system, target.processor):
            problems.append(f"{choice.file}, on {target}: {problem}")
    tables = [package_table(target, resolutions, read) for target in TARGETS]
    print("\n\n".join([*tables, sum_table(resolutions, read), "\n".join(problems) or "No problem."]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
