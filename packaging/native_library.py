"""Native libraries and programs: which system and processors one is for, read from its header.

ELF (Linux), Mach-O with its universal files (macOS) and PE (Windows) are told by their first bytes, never by a name:
Qt's libraries for macOS have no suffix.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

# e_machine of ELF, cputype of Mach-O, Machine of PE
_ELF = {3: "x86", 40: "arm", 62: "x64", 183: "arm64"}
_MACH_O = {7: "x86", 12: "arm", 0x0100_0007: "x64", 0x0100_000C: "arm64"}
_PE = {0x014C: "x86", 0x01C4: "arm", 0x8664: "x64", 0xAA64: "arm64"}

_THIN = {
    b"\xfe\xed\xfa\xce": ">",
    b"\xfe\xed\xfa\xcf": ">",
    b"\xce\xfa\xed\xfe": "<",
    b"\xcf\xfa\xed\xfe": "<",
}
_UNIVERSAL = {b"\xca\xfe\xba\xbe": 20, b"\xca\xfe\xba\xbf": 32}  # bytes of one slice's entry
_MOST_SLICES = 30  # Java's classes begin with the same bytes as a universal file, and a number from 45 on


@dataclass(frozen=True, slots=True)
class NativeLibrary:
    """What a library's header says.

    Attributes:
        processors: one, or those of all slices of a universal file; none where the header is cut off.
    """

    system: str
    processors: frozenset[str]

    def __str__(self) -> str:
        return f"{self.system} {'+'.join(sorted(self.processors)) or 'unreadable'}"

    def runs_on(self, system: str, processor: str) -> bool:
        return self.system == system and processor in self.processors


def read_native_library(file: IO[bytes]) -> NativeLibrary | None:
    """The library that `file`, at its beginning, is; None where it is none. Leaves the position anywhere."""
    magic = file.read(4)
    if magic == b"\x7fELF":
        byte_order = ">" if file.read(14)[1:2] == b"\x02" else "<"
        return NativeLibrary("Linux", _names(_ELF, _numbers(file, f"{byte_order}H")))
    if magic in _THIN:
        return NativeLibrary("macOS", _names(_MACH_O, _numbers(file, f"{_THIN[magic]}I")))
    if magic in _UNIVERSAL:
        count = next(iter(_numbers(file, ">I")), 0)
        if count > _MOST_SLICES:
            return None
        return NativeLibrary("macOS", _names(_MACH_O, _slices(file, count, _UNIVERSAL[magic])))
    if magic[:2] == b"MZ":
        file.seek(0x3C)
        file.seek(next(iter(_numbers(file, "<I")), 0))
        if file.read(4) == b"PE\0\0":
            return NativeLibrary("Windows", _names(_PE, _numbers(file, "<H")))
    return None


def _slices(file: IO[bytes], count: int, entry: int) -> list[int]:
    """The cputype of each slice, with which its entry begins; none where one is missing."""
    entries = file.read(count * entry)
    if len(entries) < count * entry:
        return []
    return [struct.unpack_from(">I", entries, place)[0] for place in range(0, len(entries), entry)]


def _numbers(file: IO[bytes], form: str) -> list[int]:
    """The number that comes next; none where the file ends."""
    data = file.read(struct.calcsize(form))
    return list(struct.unpack(form, data)) if len(data) == struct.calcsize(form) else []


def _names(known: dict[int, str], numbers: list[int]) -> frozenset[str]:
    return frozenset(known.get(number, f"processor {number:#x}") for number in numbers)
