"""Where the user is in the window: kept while the window is built anew in another language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QApplication, QWidget

from hearth.conversations.message import ConversationSettings

if TYPE_CHECKING:
    from hearth.ui.chat_controller import ChatController
    from hearth.ui.tasks import Tasks
    from hearth.ui.welcome.controller import WelcomeController
    from hearth.ui.window_frame import WindowFrame


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What the widgets and controllers of a window know, and nobody else.

    Attributes:
        conversation_id: the conversation on view; None for a new chat.
        settings: what the conversation on view sets; a new chat has it nowhere else.
        draft: what stands in the composer.
        edits: what stands in the editors of questions that are being edited, by the ids of their messages.
        place: where the reader is in the chat; None at its end, which is followed.
        last_model: the model last chosen.
        deleted: the conversations whose deletion can be undone, the last one last.
        banner: whether the banner is on view.
        welcome_page: None while the welcome is not on view.
        columns: the splitter's state.
        focus: name of the widget that has the keyboard.
    """

    conversation_id: str | None
    settings: ConversationSettings
    draft: str
    edits: dict[str, str]
    place: tuple[int, int, int] | None
    last_model: str | None
    deleted: tuple[str, ...]
    banner: bool
    welcome_page: int | None
    columns: QByteArray
    focus: str


def note_whereabouts(window: WindowFrame, chat: ChatController, welcome: WelcomeController) -> Whereabouts:
    """Where the user is in a window on an open Hearth."""
    window.panel.flush()
    focus = QApplication.focusWidget()
    session = chat.session
    return Whereabouts(
        conversation_id=session.conversation.id if session.conversation else None,
        settings=session.settings,
        draft=window.composer.text(),
        edits=window.view.edits(),
        place=window.view.reading_place(),
        last_model=chat.models.last,
        deleted=tuple(chat.conversations.deleted),
        banner=not window.banner.isHidden(),
        welcome_page=welcome.page(),
        columns=window.splitter.saveState(),
        focus=focus.objectName() if focus is not None and focus.window() is window else "",
    )


def go_back(
    window: WindowFrame, chat: ChatController, welcome: WelcomeController, tasks: Tasks, where: Whereabouts
) -> None:
    """Lead the widgets and controllers, which are new, to where the user was; what is stored is read again."""
    window.splitter.restoreState(where.columns)
    if not where.banner:
        window.banner.hide()
    chat.models.start(where.last_model)
    chat.conversations.deleted.extend(where.deleted)
    chat.conversations.refresh()
    if where.conversation_id:
        chat.session.open(where.conversation_id)
    else:
        chat.session.new_chat()
        chat.session.set_settings(where.settings)
        window.panel.show_settings(where.settings)
    window.composer.set_text(where.draft)
    if where.welcome_page is not None:
        welcome.show(where.welcome_page)

    def settle(_: None) -> None:
        for message_id, text in where.edits.items():
            window.view.edit_message(message_id, text)
        if where.place is not None:
            window.view.go_to(where.place)
        widget = window.findChild(QWidget, where.focus) if where.focus else None
        if widget is not None:
            widget.setFocus()
        window.setUpdatesEnabled(True)

    # What was asked for above comes first.
    tasks.run(lambda: None, owner=window).success(settle)
