"""What a wheel brings: its native libraries, its sizes, and whether they serve one system and processor."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.utils import parse_wheel_filename

from native_library import NativeLibrary, read_native_library


@dataclass(frozen=True, slots=True)
class WheelContents:
    """One wheel.

    Attributes:
        size, unpacked: bytes.
        any_platform: its name promises to serve every system.
        libraries: by their paths in the wheel.
    """

    name: str
    size: int
    unpacked: int
    any_platform: bool
    libraries: Mapping[str, NativeLibrary]

    def summary(self) -> str:
        """How many libraries are for what."""
        counts = Counter(str(library) for library in self.libraries.values())
        return ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())) or "none"

    def problems(self, system: str, processor: str) -> list[str]:
        """Why it does not serve; empty where it does.

        In a wheel for this platform each library must run there. One for any platform may bring libraries for others
        too, and several of the same name, of which the package takes one that the processor can run: each name that is
        there for this system needs one that runs.
        """
        serving = {path for path, library in self.libraries.items() if library.runs_on(system, processor)}
        if not self.any_platform:
            return [f"{path} is for {self.libraries[path]}" for path in self.libraries if path not in serving]
        if self.libraries and not serving:
            return [f"none of its native libraries is for {system} {processor} ({self.summary()})"]
        names = {PurePosixPath(path).name for path in serving}
        return [
            f"{path} is for {library}, and none of that name for {processor}"
            for path, library in self.libraries.items()
            if library.system == system and PurePosixPath(path).name not in names
        ]


def read_wheel(file: Path) -> WheelContents:
    """Reads the headers of all files in the wheel.

    Raises:
        ValueError: it is not a wheel, or its name is not one of a wheel.
    """
    tags = parse_wheel_filename(file.name)[3]
    libraries = {}
    try:
        with zipfile.ZipFile(file) as wheel:
            members = [member for member in wheel.infolist() if not member.is_dir()]
            for member in members:
                with wheel.open(member) as opened:
                    library = read_native_library(opened)
                if library is not None:
                    libraries[member.filename] = library
    except zipfile.BadZipFile as error:
        raise ValueError(f"{file.name} is not a wheel: {error}") from error
    return WheelContents(
        name=file.name,
        size=file.stat().st_size,
        unpacked=sum(member.file_size for member in members),
        any_platform=any(tag.platform == "any" for tag in tags),
        libraries=libraries,
    )
