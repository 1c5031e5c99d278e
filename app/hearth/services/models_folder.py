"""The models folder moved elsewhere: files, models in use and the setting, with a note for the case of a kill."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from hearth.config import load_config
from hearth.conversations.owner import is_running, this_process
from hearth.errors import HearthError, ImportCancelled, ModelsBusy, MoveCancelled
from hearth.model_folder.held_folder import is_held
from hearth.models.relocation import Relocation
from hearth.models.workspace import CHECKPOINTS, DOWNLOADS, INSTALLS, QUANTIZING
from hearth.paths import models_folder
from hearth.services.packed_forms import purge_removed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hearth.config import Config
    from hearth.conversations.store import ConversationStore
    from hearth.models.copying import CancelledCallback, ProgressCallback
    from hearth.models.registry import ModelRegistry
    from hearth.services.model_pool import ModelPool

log = logging.getLogger(__name__)

_NOTE = "models.move"
# What lies beside the models and has to come along, so that whatever is on its way goes on.
_BESIDE = (CHECKPOINTS, DOWNLOADS, INSTALLS, QUANTIZING)


class Owner(Protocol):
    """What a move needs of whoever has the models: `Hearth`."""

    @property
    def models(self) -> ModelRegistry: ...

    @property
    def pool(self) -> ModelPool: ...

    @property
    def conversations(self) -> ConversationStore: ...

    def change_settings(self, changes: Mapping[str, object | None]) -> Config: ...


class MoveNote(msgspec.Struct, frozen=True, kw_only=True):
    """A move that has come to its last steps, as the database keeps it.

    Attributes:
        placed: the settings file names the new folder; only old files are left to delete.
    """

    owner: str
    source: str
    target: str
    names: tuple[str, ...]
    placed: bool = False


def move_models(
    owner: Owner,
    target: Path,
    *,
    progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> None:
    """What `Hearth.move_models` promises."""
    target = target.expanduser().absolute()
    setting = {"folders.models": None if target == models_folder() else str(target)}
    with owner.models.exclusively():
        load_config()  # a settings file that cannot be changed is told before hours of copying
        source = owner.models.root
        if _is_same(source, target):
            owner.change_settings(setting)
            return
        _check_unused(source)
        names = [folder.name for folder in owner.models.folders()]
        names += [f"{folder.parent.name}/{folder.name}" for folder in _beside(source)]
        relocation = Relocation(source, target, names)
        relocation.check()
        try:
            relocation.copy(progress, cancelled)
            _switch(owner, relocation, setting)
        except ImportCancelled as error:
            relocation.discard()
            raise MoveCancelled from error
        except BaseException:
            relocation.discard()
            raise
        log.info("The models are in %s now", target)
        _remove_old(owner, relocation)


def _beside(root: Path) -> Iterator[Path]:
    """One by one, so that what another process begins meanwhile is not taken for what is moved."""
    for name in _BESIDE:
        with suppress(FileNotFoundError):
            yield from (path for path in (root / name).iterdir() if path.is_dir())


def _check_unused(root: Path) -> None:
    """Raise ModelsBusy where another process fetches or quantizes: it would lose what it works in."""
    if any(is_held(folder) for folder in _beside(root)):
        raise ModelsBusy


def finish_move(owner: Owner) -> None:
    """Finish or take back what an earlier process left of a move. What cannot be done now waits for the next start."""
    try:
        _finish(owner)
    except (HearthError, OSError, msgspec.ValidationError) as error:
        log.warning("A move of the models could not be finished: %s", error)


def _finish(owner: Owner) -> None:
    note = msgspec.convert(owner.conversations.get_setting(_NOTE), MoveNote | None)
    if note is None or is_running(note.owner):
        return
    source, target = Path(note.source), Path(note.target)
    relocation = Relocation(source, target, note.names)
    if owner.models.root == target:
        if source.exists():  # its disk may be unplugged
            _remove_old(owner, relocation)
        return
    if owner.models.root == source and not note.placed:
        log.warning("Moving the models to %s was cut short; they stay in %s", target, source)
        if not relocation.undo_killed():
            return
    owner.conversations.set_setting(_NOTE, None)


def _switch(owner: Owner, relocation: Relocation, setting: dict[str, str | None]) -> None:
    """Put every model into its place, and use them there; all of it, or nothing."""
    note = MoveNote(
        owner=this_process(),
        source=str(relocation.source),
        target=str(relocation.target),
        names=relocation.names,
    )
    purge_removed(owner.models)
    owner.pool.unload_and_wait(
        entry.name for entry in owner.models.list() if not (entry.in_place or entry.built_in)
    )
    _write_note(owner, note)
    try:
        relocation.place()
        owner.change_settings(setting)
    except BaseException:
        if relocation.undo():  # else the next start tries again
            owner.conversations.set_setting(_NOTE, None)
        raise
    _write_note(owner, msgspec.structs.replace(note, placed=True))


def _remove_old(owner: Owner, relocation: Relocation) -> None:
    """Delete the old models; the note stays until all of them are gone."""
    relocation.remove_old()
    owner.conversations.set_setting(_NOTE, None)


def _write_note(owner: Owner, note: MoveNote) -> None:
    owner.conversations.set_setting(_NOTE, msgspec.to_builtins(note))


def _is_same(source: Path, target: Path) -> bool:
    try:
        return source == target or source.samefile(target)
    except OSError:  # one of them is not there
        return False
