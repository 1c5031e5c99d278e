"""Changes that other Hearth processes make to the database, told on the main thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from hearth.ui.tasks import Lane

if TYPE_CHECKING:
    from hearth.storage.changes import ChangeWatcher
    from hearth.storage.database import Database
    from hearth.ui.tasks import Tasks


class OutsideChanges(QObject):
    """Watches the database about once a second.

    Signals:
        happened: something was committed, by whichever process.
    """

    happened = Signal()

    def __init__(self, database: Database, tasks: Tasks, parent: QObject) -> None:
        super().__init__(parent)
        self._tasks = tasks
        self._watcher: ChangeWatcher | None = None
        tell = self.happened.emit

        def begin() -> ChangeWatcher:
            from hearth.storage.changes import ChangeWatcher

            watcher = ChangeWatcher(database, tell)
            watcher.start()
            return watcher

        tasks.run(begin, owner=self).success(self._on_begun)

    def close(self) -> None:
        """Stop watching, in the background, before anything that is asked for later in that lane."""
        if self._watcher:
            self._tasks.run(self._watcher.stop, lane=Lane.STORE)

    def _on_begun(self, watcher: ChangeWatcher) -> None:
        self._watcher = watcher
