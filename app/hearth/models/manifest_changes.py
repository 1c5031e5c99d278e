"""One change of a manifest at a time, so that none is lost: each reads what the one before has written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

from hearth.errors import ModelsBusy, writing_failed
from hearth.model_folder.held_folder import FolderHeld, held_folder
from hearth.models.workspace import CHANGING

# Others write a small file meanwhile.
_PATIENCE_SECONDS = 10.0
_lock = Lock()


@contextmanager
def changing_manifests(root: Path) -> Iterator[None]:
    """Nobody else changes a manifest in the models folder `root` meanwhile, in this process or another. Not nested.

    Raises:
        ModelsBusy: another process does not come to an end.
        DiskFull, HomeUnwritable: the folder cannot be written to.
    """
    with _lock, ExitStack() as stack:
        if root.is_dir():  # else it may be on a disk that is not connected, and is not made here
            try:
                stack.enter_context(held_folder(root / CHANGING, _PATIENCE_SECONDS))
            except FolderHeld as error:
                raise ModelsBusy from error
            except OSError as error:
                raise writing_failed(root, error) from error
        yield
