"""A checkpoint as its authors published it: `config.json`, a tokenizer, and tensors in one file or in shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import (
    CheckpointUnsupported,
    HearthError,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFolderMissing,
)
from hearth.i18n import tr
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.genai_config import FILE_NAME as GENAI_CONFIG
from hearth.model_folder.hub_cache import readable_name
from hearth.model_folder.json_file import read_json
from hearth.quantize.checkpoint.packed_tensor import PackedTensor
from hearth.quantize.checkpoint.packing import SETTINGS, read_packing, unpacked_names
from hearth.quantize.checkpoint.safetensors_file import read_safetensors
from hearth.quantize.checkpoint.stored_tensor import StoredTensor
from hearth.quantize.checkpoint.torch_file import read_torch

CONFIG = "config.json"
_CONFIG_MAX_BYTES = 16 << 20
_GPTQ_SETTINGS = "quantize_config.json"
_ADAPTER = "adapter_config.json"
_SINGLE = "model.safetensors"
# Each with the reader of its files; the first that is there counts.
_FORMATS = ((_SINGLE, read_safetensors), ("pytorch_model.bin", read_torch))
_INDEX_MAX_BYTES = 64 << 20
# Of what a setting may count, such as the channels of a head or the positions of a text.
_MOST = 1 << 24
_LARGEST_FACTOR = 1e12
# Far more than any model has: each takes about a kilobyte to know.
_MOST_TENSORS = 1 << 18
# How the text part of a model that also sees is told from the rest, in today's checkpoints and in older ones.
_TEXT_PREFIXES = {"model.language_model.": "model.", "language_model.": ""}


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An opened checkpoint. Nothing of its tensors is in memory.

    Attributes:
        config: `config.json`; that of the text part where it describes more.
        tensors: by name; those of the text part as if it were alone.
        files: that the tensors lie in.
    """

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor | PackedTensor]
    files: tuple[Path, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> Checkpoint:
        """Read the configuration and where the tensors lie.

        Raises:
            ModelFolderMissing, ModelFileMissing: there is none.
            CheckpointUnsupported: it is quantized in a way that cannot be kept exactly.
            ModelFileInvalid, ModelFileTruncated, ModelFileOutside: a file fails a check.
        """
        if not folder.is_dir():
            raise ModelFolderMissing(path=str(folder))
        confinement = Confinement(folder, ())
        if confinement.optional_file(CONFIG) is None:
            raise _no_checkpoint(folder, CONFIG)
        config = read_json(confinement.file(CONFIG), dict[str, Any], _CONFIG_MAX_BYTES)
        has_text_part = isinstance(config.get("text_config"), dict)
        if has_text_part:
            config = {**config, **config["text_config"]}
        settings = config.get(SETTINGS)
        old = confinement.optional_file(_GPTQ_SETTINGS)
        if settings is None and old is not None:
            settings = read_json(old, dict[str, Any], _CONFIG_MAX_BYTES)
        packing = read_packing(folder, settings)
        tensors: dict[str, StoredTensor] = {}
        files, read = _weight_files(confinement)
        for file in files:
            tensors |= read(file)
            if len(tensors) > _MOST_TENSORS:
                reason = tr("it has more than {count} tensors", count=_MOST_TENSORS)
                raise ModelFileInvalid(file=str(folder), reason=reason)
        if not tensors:
            raise ModelFileInvalid(file=str(folder), reason=tr("it has no tensors"))
        if has_text_part:
            tensors = {_text_name(name): tensor for name, tensor in tensors.items()}
        return cls(folder, config, unpacked_names(folder, packing, tensors), tuple(files))

    def with_defaults(self, defaults: Mapping[str, Any]) -> Checkpoint:
        """The same, with settings that `config.json` may leave out."""
        return replace(self, config={**defaults, **self.config})

    @property
    def name(self) -> str:
        """For errors."""
        return readable_name(self.folder)

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type", ""))

    @property
    def bytes(self) -> int:
        """The size of its weight files."""
        return sum(file.stat().st_size for file in self.files)

    def tensor(self, name: str) -> StoredTensor | PackedTensor:
        """Raises ModelFileInvalid where there is none of that name."""
        try:
            return self.tensors[name]
        except KeyError:
            raise ModelFileInvalid(
                file=str(self.folder), reason=tr("it has no tensor “{name}”", name=name[:100])
            ) from None

    def number(self, name: str, default: float | None = None) -> Any:
        """A setting that is a number; the default where it is not there or null.

        Raises:
            ModelFileInvalid: it is no number, or there is neither it nor a default.
        """
        value = self.config.get(name)
        if value is None:
            value = default
        if value is None:
            raise ModelFileInvalid(file=str(self.folder / CONFIG), reason=tr("it has no {name}", name=name))
        if isinstance(value, bool) or not isinstance(value, int | float):
            reason = tr("{name} is {value}, and must be a number", name=name, value=str(value)[:40])
            raise ModelFileInvalid(file=str(self.folder / CONFIG), reason=reason)
        return value

    def factor(self, name: str, default: float | None = None) -> float:
        """A setting that something is multiplied with, divided by or added to: above zero, and of a size that can be meant.

        Raises:
            ModelFileInvalid: it is something else, or there is neither it nor a default.
        """
        value = float(self.number(name, default))
        if not 1 / _LARGEST_FACTOR <= value <= _LARGEST_FACTOR:
            raise self.nonsense(name)
        return value

    def count(self, name: str, default: float | None = None, most: int = _MOST) -> int:
        """A setting that counts something: a whole number from 1 to `most`, so that nothing is made too often.

        Raises:
            ModelFileInvalid: it is something else, or there is neither it nor a default.
        """
        value = self.number(name, default)
        if not 1 <= value <= most or value != int(value):
            raise self.nonsense(name)
        return int(value)

    def mapping(self, name: str) -> dict[str, Any]:
        """A setting that is an object; empty where it is not there or null.

        Raises:
            ModelFileInvalid: it is something else.
        """
        value: dict[str, Any] = self._collection(name, dict)
        return value

    def array(self, name: str) -> list[Any]:
        """A setting that is a list; empty where it is not there or null.

        Raises:
            ModelFileInvalid: it is something else.
        """
        value: list[Any] = self._collection(name, list)
        return value

    def _collection(self, name: str, kind: type[Any]) -> Any:
        value = self.config.get(name)
        if value is None:
            return kind()
        if not isinstance(value, kind):
            raise self.nonsense(name)
        return value

    def nonsense(self, name: str) -> ModelFileInvalid:
        """The error of a setting that cannot be meant."""
        value = str(self.config.get(name))[:40]
        reason = tr("{name} is {value}, which makes no sense", name=name, value=value)
        return ModelFileInvalid(file=str(self.folder / CONFIG), reason=reason)


def _text_name(name: str) -> str:
    for prefix, plain in _TEXT_PREFIXES.items():
        if name.startswith(prefix):
            return plain + name.removeprefix(prefix)
    return name


def _weight_files(confinement: Confinement) -> tuple[list[Path], Callable[[Path], dict[str, StoredTensor]]]:
    """The files with the tensors, and what reads them."""
    for single, read in _FORMATS:
        index = confinement.optional_file(f"{single}.index.json")
        if index is not None:
            names = sorted(set(read_json(index, _Index, _INDEX_MAX_BYTES).weight_map.values()))
            return [confinement.file(name) for name in names], read
        file = confinement.optional_file(single)
        if file is not None:
            return [file], read
    raise _no_checkpoint(confinement.folder, _SINGLE)


def _no_checkpoint(folder: Path, missing: str) -> HearthError:
    """What the folder is in place of a checkpoint, or that the file is missing."""
    if (folder / GENAI_CONFIG).exists() or any(folder.glob("*.gguf")):
        reason = tr("it is quantized already, and can be imported as it is")
    elif (folder / _ADAPTER).exists():
        reason = tr("it is an adapter for another model")
    else:
        return ModelFileMissing(folder=str(folder), file=missing)
    return CheckpointUnsupported(name=readable_name(folder), reason=reason)
