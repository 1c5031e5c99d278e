"""Checkpoints that were fetched to be quantized: in `.checkpoints/organization/name` beside the models, and not listed as such."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hearth.errors import HearthError, writing_failed
from hearth.model_folder.manifest import Manifest, read_manifest, write_manifest
from hearth.models.hub.repository import is_repository_name
from hearth.models.workspace import CHECKPOINTS

# In place of an organization, for a repository that has none. No organization has such a name.
_NO_ORGANIZATION = "_"


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A checkpoint on this machine.

    Attributes:
        name: of its repository, which `hearth quantize` takes.
        bytes: size of its files.
    """

    name: str
    path: Path
    bytes: int
    manifest: Manifest


class Checkpoints:
    """Those of one models folder."""

    def __init__(self, models: Path) -> None:
        self._root = models / CHECKPOINTS

    def list(self) -> list[CheckpointEntry]:
        """Every checkpoint, by name."""
        return sorted(self._entries(), key=lambda entry: entry.name)

    def get(self, name: str) -> CheckpointEntry | None:
        """The checkpoint of that repository, ignoring case."""
        if not is_repository_name(name):
            return None
        return next((entry for entry in self._entries() if entry.name.lower() == name.lower()), None)

    def add(self, made: Path, manifest: Manifest) -> CheckpointEntry:
        """Move the whole files in the folder `made` here, in place of an older commit's; what stayed still does.

        Raises:
            DiskFull, HomeUnwritable: they cannot be moved.
        """
        there = self.get(manifest.name)
        if there is not None and not there.manifest.passing:
            manifest = msgspec.structs.replace(manifest, passing=False)
        target = self._root / _place(manifest.name)
        old = made.with_name(f"{made.name}.old")
        try:
            write_manifest(made, manifest)
            target.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(target):
                target.rename(old)
            made.rename(target)
        except OSError as error:
            raise writing_failed(target, error) from error
        shutil.rmtree(old, ignore_errors=True)
        return _entry(target, manifest)

    def keep(self, entry: CheckpointEntry) -> CheckpointEntry:
        """Somebody has asked for the checkpoint itself: no model takes it along any more.

        Raises:
            DiskFull, HomeUnwritable: that cannot be noted.
        """
        manifest = msgspec.structs.replace(entry.manifest, passing=False)
        if entry.manifest.passing:
            try:
                write_manifest(entry.path, manifest)
            except OSError as error:
                raise writing_failed(entry.path, error) from error
        return _entry(entry.path, manifest)

    def remove(self, entry: CheckpointEntry) -> None:
        """Delete a checkpoint.

        Raises:
            HomeUnwritable: it cannot be deleted.
        """
        try:
            shutil.rmtree(entry.path)
        except OSError as error:
            raise writing_failed(entry.path, error) from error
        for folder in (entry.path.parent, self._root):
            with suppress(OSError):  # there are others
                folder.rmdir()

    def _entries(self) -> Iterator[CheckpointEntry]:
        for folder in _folders(self._root):
            for path in _folders(folder):
                with suppress(HearthError):  # no manifest: a folder of others, or none of ours
                    yield _entry(path, read_manifest(path))


def _place(name: str) -> str:
    """Where a repository's checkpoint lies. Always two folders deep, so that none lies in another's folder."""
    return name if "/" in name else f"{_NO_ORGANIZATION}/{name}"


def _entry(path: Path, manifest: Manifest) -> CheckpointEntry:
    size = sum(file.bytes for file in manifest.files.values())
    return CheckpointEntry(manifest.name, path, size, manifest)


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir()]
    except OSError:  # there is none
        return []
