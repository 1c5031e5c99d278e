"""Which system and processor the native libraries in a wheel are for, told from their headers alone."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from native_library import NativeLibrary, read_native_library
from wheel_contents import WheelContents, read_wheel

X64, ARM64 = 0x0100_0007, 0x0100_000C
FOR_MAC, FOR_WINDOWS, FOR_LINUX = "macosx_11_0_arm64", "win_amd64", "manylinux_2_28_x86_64"


def elf(machine: int, byte_order: str = "<") -> bytes:
    return (
        b"\x7fELF\x02"
        + (b"\x01" if byte_order == "<" else b"\x02")
        + bytes(10)
        + struct.pack(f"{byte_order}HH", 3, machine)
    )


def mach_o(processor: int) -> bytes:
    return b"\xcf\xfa\xed\xfe" + struct.pack("<I", processor)


def universal(*processors: int) -> bytes:
    entries = b"".join(struct.pack(">5I", processor, 0, 4096, 8, 12) for processor in processors)
    return b"\xca\xfe\xba\xbe" + struct.pack(">I", len(processors)) + entries


def pe(machine: int) -> bytes:
    return (
        b"MZ" + bytes(0x3A) + struct.pack("<I", 0x80) + bytes(0x40) + b"PE\0\0" + struct.pack("<H", machine)
    )


def wheel(folder: Path, platform: str, files: dict[str, bytes]) -> WheelContents:
    file = folder / f"tiny-1.0-py3-none-{platform}.whl"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in {"tiny/__init__.py": b"", **files}.items():
            packed.writestr(name, data)
    return read_wheel(file)


@pytest.mark.parametrize(
    ("header", "system", "processors"),
    [
        (elf(62), "Linux", {"x64"}),
        (elf(183), "Linux", {"arm64"}),
        (elf(22, ">"), "Linux", {"processor 0x16"}),
        (mach_o(X64), "macOS", {"x64"}),
        (mach_o(ARM64), "macOS", {"arm64"}),
        (universal(X64, ARM64), "macOS", {"x64", "arm64"}),
        (pe(0x8664), "Windows", {"x64"}),
        (pe(0xAA64), "Windows", {"arm64"}),
        (pe(0x14C), "Windows", {"x86"}),
        (elf(62)[:12], "Linux", set()),
        (universal(X64, ARM64)[:-1], "macOS", set()),
    ],
)
def test_a_header_tells_system_and_processors(header: bytes, system: str, processors: set[str]) -> None:
    assert read_native_library(io.BytesIO(header)) == NativeLibrary(system, frozenset(processors))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"import tiny",
        b"MZ is how this text begins",
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34" + bytes(60),  # a class of Java 8
    ],
)
def test_other_files_are_no_libraries(data: bytes) -> None:
    assert read_native_library(io.BytesIO(data)) is None


@pytest.mark.parametrize(
    ("platform", "header", "target"),
    [
        (FOR_MAC, mach_o(ARM64), ("macOS", "arm64")),
        ("macosx_11_0_universal2", universal(X64, ARM64), ("macOS", "arm64")),
        (FOR_WINDOWS, pe(0x8664), ("Windows", "x64")),
        (FOR_LINUX, elf(62), ("Linux", "x64")),
    ],
)
def test_a_wheel_serves_its_platform(
    tmp_path: Path, platform: str, header: bytes, target: tuple[str, str]
) -> None:
    assert wheel(tmp_path, platform, {"tiny/native": header}).problems(*target) == []


def test_the_wrong_processor_is_named(tmp_path: Path) -> None:
    contents = wheel(tmp_path, FOR_MAC, {"tiny/a.so": mach_o(ARM64), "tiny/b.so": mach_o(X64)})
    assert contents.problems("macOS", "arm64") == ["tiny/b.so is for macOS x64"]


def test_the_wrong_system_is_named(tmp_path: Path) -> None:
    contents = wheel(tmp_path, FOR_LINUX, {"tiny/a.so": mach_o(X64)})
    assert contents.problems("Linux", "x64") == ["tiny/a.so is for macOS x64"]


def test_a_library_that_is_cut_off_serves_nobody(tmp_path: Path) -> None:
    contents = wheel(tmp_path, FOR_LINUX, {"tiny/a.so": elf(62)[:12]})
    assert contents.problems("Linux", "x64") == ["tiny/a.so is for Linux unreadable"]


def test_a_wheel_without_libraries_serves_everywhere(tmp_path: Path) -> None:
    contents = wheel(tmp_path, "any", {})
    assert contents.summary() == "none"
    assert contents.problems("macOS", "arm64") == []


def test_a_wheel_for_any_platform_needs_a_library_for_this_one(tmp_path: Path) -> None:
    contents = wheel(tmp_path, "any", {"tiny/a.so": elf(62), "tiny/a.dylib": mach_o(X64)})
    assert contents.problems("Linux", "x64") == []
    assert contents.problems("macOS", "arm64") == [
        "none of its native libraries is for macOS arm64 (1 Linux x64, 1 macOS x64)"
    ]


def test_a_wheel_for_any_platform_needs_one_of_each_name(tmp_path: Path) -> None:
    libraries = {
        "tiny/fast/a.dylib": mach_o(X64),
        "tiny/plain/a.dylib": mach_o(ARM64),
        "tiny/plain/b.dylib": mach_o(X64),
    }
    assert wheel(tmp_path, "any", libraries).problems("macOS", "arm64") == [
        "tiny/plain/b.dylib is for macOS x64, and none of that name for arm64"
    ]


def test_a_file_that_is_no_wheel_is_refused(tmp_path: Path) -> None:
    file = tmp_path / f"tiny-1.0-py3-none-{FOR_LINUX}.whl"
    file.write_bytes(b"half a wheel")
    with pytest.raises(ValueError, match="is not a wheel"):
        read_wheel(file)
