"""`manifest.json` of a model: where it came from, under which licence, how good it is, and the checksum of each file."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from hearth.model_folder.json_file import read_json
from hearth.model_folder.model_settings import ModelSettings
from hearth.model_folder.quality import QualityReport
from hearth.model_folder.speed import SpeedReport

FILE_NAME = "manifest.json"
MAX_BYTES = 16 << 20
VERSION = 1

# The formats of models.
GENAI = "onnxruntime-genai"
GGUF = "gguf"
GGML = "ggml"  # the formats before GGUF, and the first version of that
REMOTE = "remote"


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


class RemoteModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a server that speaks OpenAI's API. The key for it lies in the system's key store, never here.

    Attributes:
        address: of the API, such as "https://example.org/v1".
        model: what the server calls it.
        has_key: a key was given for it.
    """

    address: str
    model: str
    has_key: bool = False


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the model's own file says of it; 0 or empty where it does not.

    Attributes:
        quantization: the types of its weights, such as "Q4_K_M".
        bits_per_weight: on the average, scales included.
    """

    title: str = ""
    architecture: str = ""
    parameters: int = 0
    context_length: int = 0
    layers: int = 0
    vocab_size: int = 0
    quantization: str = ""
    bits_per_weight: float = 0.0
    has_chat_template: bool = False


def count_text(parameters: int) -> str:
    """How many parameters, such as “1.24B”; empty for none."""
    size = float(parameters)
    for unit in ("", "k", "M"):
        if size < 1000:
            return f"{size:.3g}{unit}" if size else ""
        size /= 1000
    return f"{size:.3g}B"


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a model. Fields that a newer Hearth wrote are ignored.

    Attributes:
        format: GENAI, GGUF, GGML or REMOTE.
        source: the path or address that it came from.
        revision, licence: of the source, where they are known.
        in_place: the owner's folder, for a model that was registered and not copied.
        aliases: other names of the model.
        sampling: what the model's maker recommends, by key of the settings file's `[defaults]`.
        quality: what quantizing it on this machine did to it, as far as that was measured.
        files: by path relative to the model folder, with forward slashes.
        quantization: of a model that was made on this machine.
        app: the id of the other app that the files belong to; see `models/other_apps`.
        settings: what the owner has set for it.
        speed: as it was last measured.
        model_file: the file with the model, or the first of them, relative to the folder; for GGUF and GGML alone.
        facts: of a GGUF file.
        remote: of a model that runs elsewhere.
        passing: of a checkpoint that nobody asked for but the models made of it: it goes with the last of them.
    """

    version: int
    name: str
    format: str = GENAI
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
    app: str = ""
    settings: ModelSettings = ModelSettings()
    speed: SpeedReport | None = None
    model_file: str = ""
    facts: ModelFacts | None = None
    remote: RemoteModel | None = None
    passing: bool = False


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
    temporary = folder / f"{FILE_NAME}.{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
