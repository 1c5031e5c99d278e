"""The packages that Hearth is made with, and the licence of each."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path, PurePath

from hearth.i18n import tr
from hearth.paths import resource

_PROGRAM = "hearth"
_FILE_NAME = re.compile(r"(licen[cs]e|copying|notice|thirdpartynotices)[\w.-]*", re.IGNORECASE)
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)\s*(\[(?P<extras>[^\]]*)\])?")
_FOR_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
# Some packages name their licence and leave out its text. The GNU licences come as two texts, the second of which the
# first builds on.
_TEXTS = (("LGPL", ("LGPL-3.0.txt", "GPL-3.0.txt")), ("Apache", ("Apache-2.0.txt",)))


@dataclass(frozen=True, slots=True)
class Package:
    """One package.

    Attributes:
        licence: its name as the package gives it, such as “MIT”; empty where it gives none.
        files: the texts of its licence and of what it contains itself.
    """

    name: str
    version: str
    licence: str
    files: tuple[Path, ...]


def bundled_packages() -> list[Package]:
    """Everything that Hearth needs to run and that is here, by name; Hearth and Python first. Reads files."""
    found = _needed(_PROGRAM)
    distributions = found.values() if found else importlib.metadata.distributions()  # no metadata of our own
    packages = {package.name: package for package in map(_package, distributions)}
    program = packages.pop("Hearth", None)
    others = sorted(packages.values(), key=lambda package: package.name.lower())
    return [*([program] if program else []), _python(), *others]


def licence_text(package: Package) -> str:
    """The licence in full; a sentence where the package does not bring it. Reads files."""
    texts = [file.read_text(encoding="utf-8", errors="replace").strip("\n") for file in package.files]
    if not texts:
        return tr("{name} does not bring the text of its licence.", name=package.name)
    return f"\n\n{'─' * 40}\n\n".join(texts)


def _needed(program: str) -> dict[str, Distribution]:
    """What is installed of `program`, of its extras, and of all that they need in turn, by normalised name."""
    found: dict[str, Distribution] = {}
    waiting = [program]
    extras = {_normal(program): {"desktop", "gguf", "ggml"}}
    while waiting:
        name = waiting.pop()
        key = _normal(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except PackageNotFoundError:  # for another system, or an extra that is not installed
            continue
        found[key] = distribution
        for line in distribution.requires or ():
            for_extra = _FOR_EXTRA.search(line)
            if for_extra and for_extra[1] not in extras.get(key, ()):
                continue
            match = _REQUIREMENT.match(line)
            if match is None:
                continue
            wanted = {extra.strip() for extra in (match["extras"] or "").split(",") if extra.strip()}
            needed = _normal(match["name"])
            known = extras.setdefault(needed, set())
            if needed not in found or not wanted <= known:
                known |= wanted
                waiting.append(match["name"])
    return found


def _package(distribution: Distribution) -> Package:
    metadata = distribution.metadata
    stated = (metadata[field] for field in ("License-Expression", "License") if field in metadata)
    licence = next(stated, "")
    if not licence or "\n" in licence:  # some write the whole text there
        classifiers = metadata.get_all("Classifier") or ()
        licence = ", ".join(line.split(" :: ")[-1] for line in classifiers if line.startswith("License ::"))
    files = tuple(
        path
        for file in distribution.files or ()
        if _is_licence(file) and (path := Path(str(distribution.locate_file(file)))).is_file()
    )
    name = "Hearth" if metadata["Name"] == _PROGRAM else metadata["Name"]
    return Package(name, distribution.version, licence, files or _standard_texts(licence))


def _is_licence(file: PurePath) -> bool:
    return file.suffix not in (".py", ".pyc") and bool(_FILE_NAME.fullmatch(file.name))


def _standard_texts(licence: str) -> tuple[Path, ...]:
    for word, names in _TEXTS:
        if word in licence:
            return tuple(resource("licences", name) for name in names)
    return ()


def _python() -> Package:
    texts = (folder / "LICENSE.txt" for folder in (Path(os.__file__).parent, Path(sys.base_prefix)))
    text = next((text for text in texts if text.is_file()), None)  # the second is where Windows has it
    return Package("Python", platform.python_version(), "PSF-2.0", (text,) if text else ())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
