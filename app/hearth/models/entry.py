"""A model as the store has it: a folder with a manifest, and where its files are."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from hearth.errors import HearthError
from hearth.model_folder import genai_config
from hearth.model_folder import manifest as manifest_file
from hearth.model_folder.manifest import REMOTE, VERSION, Manifest, RemoteModel, read_manifest
from hearth.models import names

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model on this machine.

    Attributes:
        format: of its files, or "remote".
        path: the folder with its files; the owner's own for a model registered in place.
        bytes: size of its files.
        built_in: it is part of Hearth.
    """

    name: str
    format: str
    path: Path
    bytes: int
    in_place: bool
    aliases: tuple[str, ...]
    manifest: Manifest
    built_in: bool = False

    @property
    def file(self) -> Path:
        """The model's file, or the first of them; its folder for a format that is a folder."""
        return self.path / self.manifest.model_file if self.manifest.model_file else self.path

    @property
    def is_remote(self) -> bool:
        """It runs on somebody's server, and what is asked goes there."""
        return self.format == REMOTE


@dataclass(frozen=True, slots=True)
class RemovedModel:
    """A model that was removed and can be restored until the program closes or uses another folder.

    Attributes:
        remote: of one that runs on a server, whose key is kept as long.
    """

    name: str
    path: Path
    remote: RemoteModel | None = None


def read_entry(folder: Path) -> ModelEntry:
    """The model in a folder of the store; a damaged one too, so that it can be removed."""
    try:
        manifest = own_manifest(folder)
    except HearthError as error:
        log.warning("The model in %s has no usable manifest: %s", folder, error)
        manifest = Manifest(version=VERSION, name=folder.name)
    is_remote = manifest.format == REMOTE
    size = 0 if is_remote else sum(file.bytes for file in manifest.files.values()) or _size_on_disk(folder)
    return ModelEntry(
        name=folder.name,
        format=manifest.format,
        path=Path(manifest.in_place) if manifest.in_place else folder,
        bytes=size,
        in_place=bool(manifest.in_place),
        aliases=tuple(alias for alias in manifest.aliases if names.is_name(alias)),
        manifest=manifest,
    )


def own_manifest(folder: Path) -> Manifest:
    """The folder's manifest, or an empty one for a model folder that was put here by hand.

    Raises:
        ModelFileInvalid: it is unreadable or not a manifest.
    """
    if not os.path.lexists(folder / manifest_file.FILE_NAME):
        return Manifest(version=VERSION, name=folder.name)
    return read_manifest(folder)


def is_model(folder: Path) -> bool:
    """Whether a folder of the store is a model."""
    return names.is_name(folder.name) and any(
        os.path.lexists(folder / file) for file in (manifest_file.FILE_NAME, genai_config.FILE_NAME)
    )


def _size_on_disk(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*"))
