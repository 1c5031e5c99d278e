"""What the files in a folder of another app are: GGUF, a folder for onnxruntime-genai, or an unquantized checkpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hearth.models.other_apps.app_folder import AppFolder, printable
from hearth.models.other_apps.found_model import Format

GGUF_MAGIC = b"GGUF"
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
# Files that belong to a model and are none themselves.
_BESIDE = ("mmproj", "imatrix")
_README_MAX_BYTES = 1 << 20
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([\w.+-]+)", re.MULTILINE)
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class _Config(msgspec.Struct):
    """Of `config.json` what tells whether the weights are as their makers trained them.

    `quantization` is what MLX writes.
    """

    model_type: str = ""
    text_config: _TextConfig | None = None
    quantization_config: Any = None
    quantization: Any = None


class _TextConfig(msgspec.Struct):
    """The part of a model that also sees which writes."""

    model_type: str = ""


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model: `path` is the file for GGUF, else the folder."""

    path: Path
    format: Format
    bytes: int
    kind: str = ""


def find_gguf(app: AppFolder, folder: Path) -> Iterator[ModelFiles]:
    """The GGUF models in a folder; one in several parts counts once, and only where all of them are there."""
    files = {file.name: file for file in app.files(folder, ".gguf")}
    for name, file in files.items():
        if any(part in name.lower() for part in _BESIDE) or not app.begins_with(file, GGUF_MAGIC):
            continue
        match = _PART.fullmatch(name)
        if match is None:
            yield ModelFiles(file, Format.GGUF, app.size(file))
        elif int(match[2]) == 1:
            stem, count = match[1], int(match[3])
            parts = [files.get(f"{stem}-{n:05}-of-{count:05}.gguf") for n in range(1, min(count, 1000) + 1)]
            if all(parts):
                yield ModelFiles(file, Format.GGUF, sum(app.size(part) for part in parts if part))


def gguf_name(file: Path) -> str:
    """What a GGUF file is called, without its ending and its number among several parts."""
    match = _PART.fullmatch(file.name)
    return match[1] if match else file.stem


def find_folder(app: AppFolder, folder: Path) -> ModelFiles | None:
    """The model that the folder itself is."""
    if app.has(folder / "genai_config.json"):
        return ModelFiles(folder, Format.GENAI, sum(map(app.size, app.files(folder))))
    config = app.json(folder / "config.json", _Config)
    if config is None or not config.model_type or config.quantization_config or config.quantization:
        return None
    weights = _weights(app, folder)
    if not weights:
        return None
    kind = (config.text_config and config.text_config.model_type) or config.model_type
    return ModelFiles(folder, Format.CHECKPOINT, sum(map(app.size, weights)), kind)


def _weights(app: AppFolder, folder: Path) -> list[Path]:
    """The files of weights, where all of them are there."""
    for name in _WEIGHTS:
        if app.has(folder / name):
            return [folder / name]
        index = app.json(folder / f"{name}.index.json", _Index)
        if index is not None:
            shards = [folder / shard for shard in sorted(set(index.weight_map.values()))]
            if shards and all(shard.parent == folder and app.has(shard) for shard in shards):
                return shards
    return []


def licence_of(app: AppFolder, folder: Path) -> str:
    """The licence that a model card names in its front matter."""
    text = app.text(folder / "README.md", _README_MAX_BYTES)
    if not text.startswith("---"):
        return ""
    match = _LICENCE.search(text.split("\n---", maxsplit=1)[0])
    return printable(match[1], 60) if match else ""
