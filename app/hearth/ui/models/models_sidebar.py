"""The left of the window Models: the list, the way to the models of other apps, and the ways to add one."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from hearth.i18n import tr
from hearth.ui import theme
from hearth.ui.models.model_list import ModelList
from hearth.ui.models.model_rows import Order
from hearth.ui.theme import Space

_ICON = 0.9  # of the height of a line
_LEAST_WIDTH = 240


class ModelsSidebar(QFrame):
    """The list says itself what the user does in it.

    Signals:
        others_wanted: the user wants to see the models of other apps.
        add_wanted: the user wants to find and fetch a model.
        import_wanted, file_wanted, server_wanted: the user wants to add a folder, a file or a server.
    """

    others_wanted = Signal()
    add_wanted = Signal()
    import_wanted = Signal()
    file_wanted = Signal()
    server_wanted = Signal()

    def __init__(self, order: Order, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("modelsSidebar")
        self.list = ModelList(order, self)
        self.others_button = QPushButton(tr("From Other Apps"), self)
        self.others_button.setObjectName("otherApps")
        self.others_button.setCheckable(True)
        self.others_button.clicked.connect(self.others_wanted)
        middle = QHBoxLayout()
        middle.setContentsMargins(8, Space.XS, 8, Space.S)
        middle.addWidget(self.others_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.list, 1)
        layout.addLayout(middle)
        layout.addWidget(self._build_foot())

    def _build_foot(self) -> QWidget:
        foot = QFrame(self)
        foot.setObjectName("modelsFoot")
        self.add_button = QPushButton(tr("Add a Model…"), foot)
        self.add_button.setProperty("kind", "primary")
        self.add_button.clicked.connect(self.add_wanted)
        self.more_button = QToolButton(foot)
        self.more_button.setAccessibleName(tr("Other ways to add a model"))
        self.more_button.setToolTip(tr("Other ways to add a model"))
        self.more_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more_button)
        self.import_action = menu.addAction(tr("Import a Model Folder…"), self.import_wanted.emit)
        self.file_action = menu.addAction(tr("Import a Model File (GGUF)…"), self.file_wanted.emit)
        menu.addSeparator()
        self.server_action = menu.addAction(tr("Add a Server…"), self.server_wanted.emit)
        self.more_button.setMenu(menu)
        buttons = QHBoxLayout(foot)
        buttons.setContentsMargins(10, Space.S, 8, Space.S)
        buttons.addWidget(self.add_button, 1)
        buttons.addWidget(self.more_button)
        return foot

    def tint(self) -> None:
        """The theme's colours or the size of the text have changed."""
        side = icon_size(self.add_button)
        for button, name in (
            (self.more_button, "more"),
            (self.others_button, "folder"),
            (self.list.order_button, "sort"),
        ):
            button.setIcon(theme.icon(name, size=side))
            button.setIconSize(QSize(side, side))
        self.list.view.viewport().update()
        wide = self.add_button.sizeHint().width() + self.more_button.sizeHint().width() + 4 * Space.S
        self.setMinimumWidth(max(_LEAST_WIDTH, wide))


def icon_size(widget: QWidget) -> int:
    """As high as the widget's text, and never smaller than usual."""
    return max(Space.ICON, round(_ICON * widget.fontMetrics().height()))
