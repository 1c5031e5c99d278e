"""The list of conversations kept up to date, and what is done to a conversation as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from hearth.conversations.message import Conversation
from hearth.i18n import tr
from hearth.ui.conversation_list import ConversationList, title_of
from hearth.ui.outside_changes import OutsideChanges

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth
    from hearth.ui.bridge import UiBridge
    from hearth.ui.live_answers import LiveAnswers
    from hearth.ui.session import ChatSession
    from hearth.ui.tasks import Tasks
    from hearth.ui.toast import Toast

LAST_CONVERSATION = "window.last_conversation"
_PAGE = 200


class ConversationController(QObject):
    """Reads the list when it changed, and renames, deletes and restores.

    Attributes:
        deleted: the conversations whose deletion can be undone, the last one last.

    Signals:
        undo_changed: whether a deletion can be undone.
        title_changed: the conversation on view may have another title.
    """

    undo_changed = Signal(bool)
    title_changed = Signal()

    def __init__(
        self,
        hearth: Hearth,
        bridge: UiBridge,
        tasks: Tasks,
        answers: LiveAnswers,
        session: ChatSession,
        sidebar: ConversationList,
        toast: Toast,
    ) -> None:
        super().__init__(session)
        self._store = hearth.conversations
        self._tasks = tasks
        self._answers = answers
        self._session = session
        self._list = sidebar
        self._toast = toast
        self._wanted = _PAGE
        self.deleted: list[str] = []
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(50)
        self._soon.timeout.connect(self.refresh)
        bridge.conversation_changed.connect(self._soon.start)
        self._outside = OutsideChanges(hearth.database, tasks, self)
        self._outside.happened.connect(self.refresh)
        self._outside.happened.connect(session.refresh)
        session.opened.connect(self._on_opened)
        sidebar.chosen.connect(self._on_chosen)
        sidebar.rename_requested.connect(self.rename)
        sidebar.delete_requested.connect(self.delete)
        sidebar.more_wanted.connect(self._on_more)

    @Slot()
    def refresh(self) -> None:
        """Read the list anew."""
        store, wanted = self._store, self._wanted
        task = self._tasks.run(
            lambda: (store.list(limit=wanted), store.count()), owner=self, view="conversations"
        )
        task.success(lambda found: self._on_list(*found))

    @Slot(str, str)
    def rename(self, conversation_id: str, title: str) -> None:
        store = self._store
        self._tasks.run(lambda: store.rename(conversation_id, title), owner=self).success(
            lambda _: self.refresh()
        )

    @Slot(str)
    def delete(self, conversation_id: str) -> None:
        """Delete, and offer to undo it; the next conversation of the list comes on view."""
        rows = self._list.model.conversations()
        places = [at for at, row in enumerate(rows) if row.id == conversation_id]
        title = title_of(rows[places[0]]) if places else tr("the conversation")
        on_view = self._session.conversation is not None and self._session.conversation.id == conversation_id
        self._answers.stop(conversation_id)
        if on_view:
            others = [row.id for row in rows if row.id != conversation_id]
            if others and places:
                self._session.open(others[min(places[0], len(others) - 1)])
            else:
                self._session.new_chat()
        self._list.show_conversations([row for row in rows if row.id != conversation_id], len(rows) - 1)
        store = self._store

        def deleted(_: None) -> None:
            self.deleted.append(conversation_id)
            self.undo_changed.emit(True)
            self._toast.show_message(tr("“{title}” was deleted.", title=title), tr("Undo"), self.undo_delete)
            self.refresh()

        self._tasks.run(lambda: store.delete(conversation_id), owner=self).success(deleted)

    def close(self) -> None:
        """Stop watching for changes of others."""
        self._outside.close()

    def can_undo(self) -> bool:
        return bool(self.deleted)

    @Slot()
    def undo_delete(self) -> None:
        """Bring back what was deleted last."""
        if not self.deleted:
            return
        conversation_id = self.deleted.pop()
        self.undo_changed.emit(bool(self.deleted))
        self._toast.hide()
        store = self._store

        def restored(_: None) -> None:
            self.refresh()
            self._session.open(conversation_id)

        self._tasks.run(lambda: store.restore(conversation_id), owner=self).success(restored)

    def _on_list(self, rows: list[Conversation], total: int) -> None:
        self._list.show_conversations(rows, total)
        self._select()
        self.title_changed.emit()

    def _select(self) -> None:
        conversation = self._session.conversation
        self._list.select(conversation.id if conversation else None)

    @Slot()
    def _on_opened(self) -> None:
        conversation = self._session.conversation
        conversation_id = conversation.id if conversation else None
        store = self._store
        self._tasks.run(lambda: store.set_setting(LAST_CONVERSATION, conversation_id))
        if conversation_id and not self._list.model.place(conversation_id).isValid():
            self.refresh()
        self._select()
        self.title_changed.emit()

    @Slot(str)
    def _on_chosen(self, conversation_id: str) -> None:
        on_view = self._session.conversation
        if on_view is None or on_view.id != conversation_id:
            self._session.open(conversation_id)

    @Slot()
    def _on_more(self) -> None:
        known = len(self._list.model.conversations())
        if self._wanted <= known:
            self._wanted = known + _PAGE
            self.refresh()
