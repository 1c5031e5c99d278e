"""The context menu of a message."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu, QWidget

from hearth.i18n import tr


def message_menu(
    parent: QWidget,
    *,
    selected: str,
    link: str,
    source: str,
    copy: Callable[[str], None],
    select: Callable[[], None],
) -> QMenu:
    """A menu that deletes itself when it closes.

    Args:
        selected: the text that is selected in the chat.
        link: the address under the mouse; empty where none is.
        source: the whole message, in Markdown.
        copy: puts a text on the clipboard.
        select: selects the message.
    """
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    copy_selected = menu.addAction(tr("Copy"))
    copy_selected.setEnabled(bool(selected))
    copy_selected.triggered.connect(lambda: copy(selected))
    if link:
        menu.addAction(tr("Copy link")).triggered.connect(lambda: copy(link))
    menu.addAction(tr("Copy message")).triggered.connect(lambda: copy(source))
    menu.addSeparator()
    menu.addAction(tr("Select message")).triggered.connect(select)
    return menu
