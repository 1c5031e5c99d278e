"""What is imported: a model folder or a model file, checked, with all its files and what they say of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hearth.errors import (
    ImportCancelled,
    ModelFileChanged,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileTruncated,
    VerifyCancelled,
)
from hearth.i18n import tr
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.gguf_file import is_model_file, legacy_format, read_gguf
from hearth.model_folder.manifest import GENAI, GGML, GGUF, VERSION, Manifest, ModelFacts
from hearth.models.copying import CancelledCallback, ProgressCallback, Transfer
from hearth.models.entry import ModelEntry

_PART = re.compile(r"-\d{5}-of-\d{5}$")
_MAKERS_OF_GGML: Final = (
    "llama",
    "gpt2",
    "gptj",
    "gpt_neox",
    "falcon",
    "mpt",
    "starcoder",
    "dolly",
    "replit",
)


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model somewhere on this machine, in a format that Hearth runs.

    Attributes:
        path: what was named, a folder or a file.
        folder: that all files lie in.
        files: of the model, each once.
        model_file: the first of them for a format of files; empty for a folder.
    """

    path: Path
    folder: Path
    format: str
    files: tuple[Path, ...]
    facts: ModelFacts
    model_file: str = ""
    licence: str = ""

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.stat().st_size for file in self.files)

    def relative(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def open_source(path: Path) -> ModelSource:
    """Look at a folder or file, and check it.

    Raises:
        HearthError: whatever is wrong with it.
    """
    if path.is_file():
        return _open_file(path)
    folder = ModelFolder.open(path)
    return ModelSource(path, path, GENAI, tuple(folder.files()), folder_facts(folder))


def take(source: ModelSource, name: str, target: Path | None, transfer: Transfer) -> Manifest:
    """Copy a model to the folder `target`, or leave it where it is; its manifest, with the checksum of each file.

    Raises:
        HearthError: it cannot be read or written, or has changed meanwhile.
    """
    relative = {file: source.relative(file) for file in source.files}
    if target is None:
        files = {relative[file]: transfer.hash(file) for file in source.files}
    else:
        files = {relative[file]: transfer.copy(file, target / relative[file]) for file in source.files}
    manifest = Manifest(
        version=VERSION,
        name=name,
        format=source.format,
        source=str(source.path),
        licence=source.licence,
        imported_at=datetime.now(UTC),
        in_place="" if target else str(source.folder),
        files=files,
        model_file=source.model_file,
        facts=source.facts if source.model_file else None,
    )
    if target is not None:
        check_model(target, manifest)  # the source may have changed while it was copied
    return manifest


def check_model(folder: Path, manifest: Manifest) -> None:
    """Check a model as loading does.

    Raises:
        HearthError: whatever is wrong with it.
    """
    if manifest.model_file:
        _open_file(model_file(folder, manifest))
    else:
        ModelFolder.open(folder)


def verify_files(
    entry: ModelEntry,
    manifest: Manifest,
    progress: ProgressCallback | None,
    cancelled: CancelledCallback | None,
) -> None:
    """Compare every file of a model with its checksum in `manifest`, and check the model as loading does.

    Raises:
        VerifyCancelled: `cancelled` said so.
        ModelFileMissing, ModelFileTruncated, ModelFileChanged: a file is not what was imported.
        HearthError: whatever else is wrong with it.
    """
    total = sum(file.bytes for file in manifest.files.values())
    transfer = Transfer(total, progress, cancelled)
    for relative, expected in manifest.files.items():
        file = imported_file(entry.path, manifest, relative)
        size = file.stat().st_size
        if size < expected.bytes:
            raise ModelFileTruncated(file=str(file), actual=size, expected=expected.bytes)
        try:
            unchanged = size == expected.bytes and transfer.hash(file) == expected
        except ImportCancelled as error:
            raise VerifyCancelled(name=entry.name) from error
        if not unchanged:
            raise ModelFileChanged(file=str(file))
    if not entry.is_remote:
        check_model(entry.path, manifest)


def model_file(folder: Path, manifest: Manifest) -> Path:
    """The first file of a model that is made of files.

    Raises:
        ModelFileMissing, ModelFileInvalid, ModelFileOutside: it is not in its folder.
    """
    return imported_file(folder, manifest, manifest.model_file)


def imported_file(folder: Path, manifest: Manifest, relative: str) -> Path:
    """A file of a model by its name in the manifest.

    The owner may use a file in place that is a link, as those in a Hugging Face cache are: it was chosen by name. All
    others have to lie in their folder.

    Raises:
        ModelFileMissing, ModelFileInvalid, ModelFileOutside: it is not there.
    """
    if not (manifest.in_place and manifest.model_file):
        return Confinement(folder).file(relative)
    file = folder / Path(relative).name
    if not file.is_file():
        raise ModelFileMissing(folder=str(folder), file=relative)
    return file


def naming_path(path: Path) -> Path:
    """The path that says which model it is: of a file without its suffix and the number of its part."""
    return path.with_name(_PART.sub("", path.stem)) if path.is_file() else path


def entry_facts(entry: ModelEntry) -> ModelFacts:
    """What the files of a model say of it now.

    Raises:
        HearthError: it cannot be used.
    """
    if entry.manifest.model_file:
        return _open_file(model_file(entry.path, entry.manifest)).facts
    return folder_facts(ModelFolder.open(entry.path))


def entry_files(entry: ModelEntry) -> dict[str, int]:
    """The sizes of a model's files, by name.

    Raises:
        HearthError: it cannot be used.
    """
    if entry.manifest.model_file:
        source = _open_file(model_file(entry.path, entry.manifest))
    else:
        source = open_source(entry.path)
    return {source.relative(file): file.stat().st_size for file in source.files}


def folder_facts(folder: ModelFolder) -> ModelFacts:
    """What the configuration of a model folder says."""
    model = folder.config.model
    return ModelFacts(
        architecture=model.type,
        context_length=model.context_length,
        layers=model.decoder.num_hidden_layers,
        vocab_size=model.vocab_size,
        has_chat_template=folder.chat_template is not None,
    )


def _open_file(path: Path) -> ModelSource:
    legacy = legacy_format(path)
    if legacy:
        facts = ModelFacts(architecture=_guessed_architecture(path), quantization=legacy)
        return ModelSource(path, path.parent, GGML, (path,), facts, path.name)
    if path.suffix == ".onnx":
        raise ModelFileInvalid(file=str(path), reason=tr("the model is the folder that it lies in"))
    if not is_model_file(path):
        raise ModelFileInvalid(file=str(path), reason=tr("it is neither a GGUF nor a GGML file"))
    gguf = read_gguf(path)
    facts = ModelFacts(
        title=gguf.name,
        architecture=gguf.architecture,
        parameters=gguf.parameters,
        context_length=gguf.context_length,
        layers=gguf.layers,
        vocab_size=gguf.vocab_size,
        quantization=gguf.quantization,
        bits_per_weight=round(gguf.bits_per_weight, 2),
        has_chat_template=bool(gguf.chat_template),
    )
    form = GGML if gguf.version == 1 else GGUF
    return ModelSource(path, path.parent, form, gguf.parts, facts, path.name, gguf.licence)


def _guessed_architecture(path: Path) -> str:
    """Files before GGUF do not say it; their names mostly do, and most are Llama."""
    name = re.sub(r"[^a-z0-9]", "", os.fsdecode(path.name).lower())
    return next((one for one in _MAKERS_OF_GGML[1:] if one.replace("_", "") in name), _MAKERS_OF_GGML[0])
