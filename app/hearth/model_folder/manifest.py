"""`manifest.json` of a model: where it came from, under which licence, how good it is, and the checksum of each file."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hearth.model_folder.json_file import read_json
from hearth.model_folder.quality import QualityReport

FILE_NAME = "manifest.json"
MAX_BYTES = 16 << 20
VERSION = 1


class ManifestFile(msgspec.Struct, frozen=True):
    """One file as it was imported: SHA-256 in hexadecimal, and size."""

    sha256: str
    bytes: int


class Quantization(msgspec.Struct, frozen=True, kw_only=True):
    """How Hearth quantized a model itself.

    Attributes:
        recipe: with all that differs from the defaults.
        seconds: that the last run took; one that was stopped before is not counted.
    """

    recipe: dict[str, Any]
    seconds: float


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a model. Fields that a newer Hearth wrote are ignored.

    Attributes:
        format: of the model folder.
        source: the path or address that it came from.
        revision, licence: of the source, where they are known.
        in_place: the owner's folder, for a model that was registered and not copied.
        aliases: other names of the model.
        sampling: what the model's maker recommends, by key of the settings file's `[defaults]`.
        quality: what quantizing it on this machine did to it, as far as that was measured.
        files: by path relative to the model folder, with forward slashes.
        quantization: of a model that was made on this machine.
    """

    version: int
    name: str
    format: str = "onnxruntime-genai"
    source: str = ""
    revision: str = ""
    licence: str = ""
    imported_at: datetime | None = None
    in_place: str = ""
    aliases: tuple[str, ...] = ()
    sampling: dict[str, float] = {}
    quality: QualityReport | None = None
    files: dict[str, ManifestFile] = {}
    quantization: Quantization | None = None


def read_manifest(folder: Path) -> Manifest:
    """The manifest in `folder`.

    Raises:
        ModelFileInvalid: it is missing, unreadable or not a manifest.
    """
    return read_json(folder / FILE_NAME, Manifest, MAX_BYTES)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all.

    Raises:
        OSError: it cannot be written; an older manifest is then untouched.
    """
    target = folder / FILE_NAME
    temporary = folder / f"{FILE_NAME}.{os.getpid()}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
