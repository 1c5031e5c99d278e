"""The folder in which one model is built: held by one process at a time, and found again by the next one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hearth.errors import QuantizeBusy
from hearth.model_folder.held_folder import FolderHeld, held_folder
from hearth.quantize.journal import Journal

# A process that was killed is gone a moment later, and so is one whose caller was.
_PATIENCE_SECONDS = 5.0
_JOURNAL, _MODEL, _CHOICES, _LAYERS = "journal.json", "model", "choices", "layers"


class WorkFolder:
    """`model/` with what is done, `journal.json` that says how much that is, what calibration has found, and a lock.

    Attributes:
        path: the folder.
        model: what becomes the model.
        choices: what calibration has found for the recipe's choices.
        layers: what it has found while the layers are written one by one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = path / _MODEL
        self.choices = path / _CHOICES
        self.layers = path / _LAYERS

    @property
    def has_work(self) -> bool:
        """Whether something is done that a later process can go on from."""
        return any(file.exists() for file in (self.path / _JOURNAL, self.choices, self.layers))

    def holds(self, key: str) -> bool:
        """Whether the model in it is what has this key, or has begun to be."""
        return bool(Journal(self.path / _JOURNAL, key).pieces)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else works in the folder meanwhile; it is made where it is missing.

        Raises:
            QuantizeBusy: another process works in it.
            OSError: it cannot be made.
        """
        try:
            with held_folder(self.path, _PATIENCE_SECONDS):
                yield
        except FolderHeld:
            raise QuantizeBusy(name=self.path.name) from None

    def journal(self, key: str, data: Path, size: int, seconds: float) -> Journal:
        """What is done of the model with this key, whose weights are the file `data`; nothing, and no file, if it is another.

        Args:
            seconds: between two notes; 0 is as usual.

        Raises:
            OSError: the folder cannot be written.
        """
        file = self.path / _JOURNAL
        journal = Journal(file, key, seconds) if seconds else Journal(file, key)
        if journal.pieces and data.exists() and data.stat().st_size == size:
            return journal
        self._clear_model()
        self.model.mkdir()
        return Journal(file, key, seconds) if seconds else Journal(file, key)

    def clear(self) -> None:
        """Delete what is done; the folder is to be held."""
        self._clear_model()
        for file in (self.choices, self.layers):
            file.unlink(missing_ok=True)

    def _clear_model(self) -> None:
        (self.path / _JOURNAL).unlink(missing_ok=True)
        if self.model.exists():
            shutil.rmtree(self.model)

    def remove(self) -> None:
        """Delete the folder with all that is in it; it need not be there.

        Raises:
            QuantizeBusy: another process works in it.
            OSError: it cannot be deleted.
        """
        if not self.path.exists():
            return
        with self.held():
            self.clear()
            shutil.rmtree(self.path, ignore_errors=True)
        if sys.platform == "win32":  # where nobody deletes a lock while it is held
            shutil.rmtree(self.path, ignore_errors=True)
