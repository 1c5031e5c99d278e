"""Which model answers: a button with its name and state, and a list to load, unload and choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QKeyEvent, QPainter, QPalette, QPen, QPixmap
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.ui.plain_tip import plain_tip
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.wording import loading_text, size_text

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry

_STATE_COLORS = {ModelState.READY: "#34a853", ModelState.LOADING: "#f0a020", ModelState.FAILED: "#e0483e"}
_POPUP_WIDTH = 380
_POPUP_HEIGHT = 420
_GAP = 4  # between the button and its list


def state_text(status: ModelStatus) -> str:
    """The state in a few words."""
    match status.state:
        case ModelState.READY:
            return tr("Ready")
        case ModelState.LOADING if status.is_preparing:
            return tr(
                "Preparing for this computer, only this once… {percent} %",
                percent=round(status.progress * 100),
            )
        case ModelState.LOADING:
            return tr("Loading… {percent} %", percent=round(status.progress * 100))
        case ModelState.FAILED:
            return status.error.what_text() if status.error else tr("Could not be loaded")
        case ModelState.UNLOADED:
            return tr("Not loaded")


def action_text(state: ModelState) -> str:
    """What the button that loads a model does in this state."""
    match state:
        case ModelState.UNLOADED:
            return tr("Load")
        case ModelState.LOADING:
            return tr("Cancel")
        case ModelState.READY:
            return tr("Unload")
        case ModelState.FAILED:
            return tr("Retry")


def state_icon(state: ModelState, quiet: QColor) -> QIcon:
    """A dot in the state's colour; a ring in the colour `quiet` for a model that is not loaded."""
    pixmap = QPixmap(40, 40)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    color = _STATE_COLORS.get(state)
    painter.setPen(QPen(quiet, 4) if color is None else Qt.PenStyle.NoPen)
    painter.setBrush(QColor(color) if color else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QRectF(10, 10, 20, 20))
    painter.end()
    return QIcon(pixmap)


def marked_name(entry: ModelEntry) -> str:
    """The model's name; nobody shall take one that runs on a server for one that runs here."""
    if not entry.is_remote:
        return entry.name
    return tr("{text} ({detail})", text=entry.name, detail=tr("remote"))


class ModelRow(QFrame):
    """One model of the list.

    Signals:
        chosen, load_requested, unload_requested: with the model's name.
    """

    chosen = Signal(str)
    load_requested = Signal(str)
    unload_requested = Signal(str)

    def __init__(self, entry: ModelEntry, current: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry = entry
        self.setObjectName("modelRow")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._status = ModelStatus(entry.name, ModelState.UNLOADED)
        self.name_button = QPushButton(marked_name(entry) + ("  ✓" if current else ""), self)
        self.name_button.setObjectName("modelName")
        self.name_button.setIconSize(QSize(18, 18))
        self.name_button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.name_button.setMinimumWidth(1)  # a long name must not push the other button out of sight
        self.name_button.setToolTip(entry.name)
        self.name_button.clicked.connect(lambda: self.chosen.emit(entry.name))
        self.action_button = QPushButton(self)
        self.action_button.setObjectName("modelAction")
        self.action_button.clicked.connect(self._on_action)
        self._facts = QLabel(self)
        self._facts.setTextFormat(Qt.TextFormat.PlainText)
        self._facts.setProperty("kind", "secondary")
        self._facts.setWordWrap(True)
        self._facts.setContentsMargins(30, 0, 0, 0)
        self._bar = QProgressBar(self)
        self._bar.setRange(0, 100)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(4)
        self._bar.setAccessibleName(tr("Loading {name}", name=entry.name))
        top = QHBoxLayout()
        top.addWidget(self.name_button, 1)
        top.addWidget(self.action_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 8)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addWidget(self._facts)
        layout.addWidget(self._bar)
        self.show_status(self._status)

    def show_status(self, status: ModelStatus) -> None:
        self._status = status
        self.name_button.setIcon(
            state_icon(status.state, self.palette().color(QPalette.ColorRole.PlaceholderText))
        )
        facts = [tr("remote: it runs on a server") if self.entry.is_remote else size_text(self.entry.bytes)]
        if self.entry.built_in:
            facts.append(tr("part of Hearth"))
        if self.entry.in_place:
            facts.append(tr("used in place"))
        if status.info:
            facts.append(tr("context {tokens}", tokens=status.info.context_length))
        facts.append(state_text(status))
        self._facts.setText(" · ".join(facts))
        label = action_text(status.state)
        self.action_button.setText(label)
        self.action_button.setAccessibleName(f"{label}: {self.entry.name}")
        self.name_button.setAccessibleName(f"{self.entry.name}, {state_text(status)}")
        self._bar.setVisible(status.state is ModelState.LOADING)
        self._bar.setValue(round(status.progress * 100))

    @Slot()
    def _on_action(self) -> None:
        if self._status.state in (ModelState.LOADING, ModelState.READY):
            self.unload_requested.emit(self.entry.name)
        else:
            self.load_requested.emit(self.entry.name)


class ModelPopup(QFrame):
    """The list under the button; closes by itself when the user goes elsewhere.

    Signals:
        chosen, load_requested, unload_requested: with a model's name.
        add_requested: the user wants a model that is not here yet.
        import_requested: the user wants to add a model's folder.
        file_requested: the user wants to add a model's file.
        manage_requested: the user wants the window with all models.
    """

    chosen = Signal(str)
    load_requested = Signal(str)
    unload_requested = Signal(str)
    add_requested = Signal()
    import_requested = Signal()
    file_requested = Signal()
    manage_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setObjectName("modelPopup")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setAccessibleName(tr("Models"))
        self.rows: dict[str, ModelRow] = {}
        self._current: str | None = None
        self._list = QWidget(self)
        self._list.setObjectName("modelList")
        self._column = QVBoxLayout(self._list)
        self._column.setContentsMargins(6, 6, 6, 6)
        self._column.setSpacing(2)
        self.area = vertical_scroll(self._list, self)
        self.area.setObjectName("modelArea")
        self.add_button = QPushButton(tr("Add a model…"), self)
        self.add_button.setObjectName("popupFooter")
        self.add_button.clicked.connect(self._on_add)
        self.import_button = QPushButton(tr("Import a model folder…"), self)
        self.import_button.setObjectName("popupFooter")
        self.import_button.clicked.connect(self._on_import)
        self.file_button = QPushButton(tr("Import a model file (GGUF)…"), self)
        self.file_button.setObjectName("popupFooter")
        self.file_button.clicked.connect(self._on_file)
        self.manage_button = QPushButton(tr("Manage models…"), self)
        self.manage_button.setObjectName("popupFooter")
        self.manage_button.clicked.connect(self._on_manage)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 6)
        layout.addWidget(self.area, 1)
        for button in (self.add_button, self.import_button, self.file_button, self.manage_button):
            layout.addWidget(button)

    def show_models(
        self, entries: list[ModelEntry], statuses: dict[str, ModelStatus], current: str | None
    ) -> None:
        """Fill the list anew."""
        self._current = current
        while item := self._column.takeAt(0):
            if widget := item.widget():
                widget.hide()
                widget.deleteLater()
        self.rows = {}
        for entry in entries:
            row = ModelRow(entry, entry.name == current, self._list)
            row.chosen.connect(self._on_chosen)
            row.load_requested.connect(self.load_requested)
            row.unload_requested.connect(self.unload_requested)
            if entry.name in statuses:
                row.show_status(statuses[entry.name])
            self._column.addWidget(row)
            self.rows[entry.name] = row
        if not entries:
            empty = QLabel(tr("There is no model on this machine yet."), self._list)
            empty.setProperty("kind", "secondary")
            empty.setContentsMargins(12, 12, 12, 12)
            self._column.addWidget(empty)
        self._column.addStretch(1)
        self._column.activate()

    def open_below(self, button: QWidget) -> None:
        """Show the list under `button`, or above it where there is more room, with the keyboard on the model in use."""
        for part in (self, *self.findChildren(QWidget)):  # what is not styled yet is lower than it will be
            part.ensurePolished()
        self._column.invalidate()
        rows = self._column.heightForWidth(_POPUP_WIDTH - 2)
        layout = self.layout()
        between = 0 if layout is None else layout.spacing()
        wanted = rows + 4 * (self.import_button.sizeHint().height() + between) + 20
        self.setGeometry(_place(button, min(_POPUP_HEIGHT, wanted)))
        self.show()
        names = list(self.rows)
        if names:
            self._focus(self._current if self._current in names else names[0])
        else:
            self.add_button.setFocus(Qt.FocusReason.PopupFocusReason)

    def _focus(self, name: str) -> None:
        """Bring a model's row on view, and the keyboard to it."""
        self.rows[name].name_button.setFocus(Qt.FocusReason.PopupFocusReason)
        self._column.activate()
        self.area.ensureWidgetVisible(self.rows[name])

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Arrows lead through the list, Home and End to its ends."""
        names = list(self.rows)
        if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.focusNextPrevChild(event.key() == Qt.Key.Key_Down)
        elif names and event.key() in (Qt.Key.Key_Home, Qt.Key.Key_End):
            self._focus(names[0 if event.key() == Qt.Key.Key_Home else -1])
        else:
            super().keyPressEvent(event)

    @Slot(str)
    def _on_chosen(self, name: str) -> None:
        self.hide()
        self.chosen.emit(name)

    @Slot()
    def _on_add(self) -> None:
        self.hide()
        self.add_requested.emit()

    @Slot()
    def _on_import(self) -> None:
        self.hide()
        self.import_requested.emit()

    @Slot()
    def _on_file(self) -> None:
        self.hide()
        self.file_requested.emit()

    @Slot()
    def _on_manage(self) -> None:
        self.hide()
        self.manage_requested.emit()


def _place(button: QWidget, height: int) -> QRect:
    """Where the list has room, on the screen of `button`."""
    screen = button.screen().availableGeometry()
    above = button.mapToGlobal(QPoint(0, -_GAP))
    below = button.mapToGlobal(QPoint(0, button.height() + _GAP))
    room_above, room_below = above.y() - screen.top(), screen.bottom() + 1 - below.y()
    left = max(screen.left(), min(below.x(), screen.right() + 1 - _POPUP_WIDTH))
    if height <= room_below or room_below >= room_above:
        return QRect(left, below.y(), _POPUP_WIDTH, min(height, room_below))
    height = min(height, room_above)
    return QRect(left, above.y() - height, _POPUP_WIDTH, height)


class ModelPicker(QToolButton):
    """The button with the name and state of the model that answers.

    Signals:
        chosen, load_requested, unload_requested: with a model's name.
        add_requested: the user wants a model that is not here yet.
        import_requested: the user wants to add a model's folder.
        file_requested: the user wants to add a model's file.
        manage_requested: the user wants the window with all models.
        opened: the list is about to be shown.
    """

    chosen = Signal(str)
    load_requested = Signal(str)
    unload_requested = Signal(str)
    add_requested = Signal()
    import_requested = Signal()
    file_requested = Signal()
    manage_requested = Signal()
    opened = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelPicker")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setIconSize(QSize(18, 18))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._entries: list[ModelEntry] = []
        self._statuses: dict[str, ModelStatus] = {}
        self._current: str | None = None
        self.popup = ModelPopup(self)
        self.popup.chosen.connect(self.chosen)
        self.popup.load_requested.connect(self.load_requested)
        self.popup.unload_requested.connect(self.unload_requested)
        self.popup.add_requested.connect(self.add_requested)
        self.popup.import_requested.connect(self.import_requested)
        self.popup.file_requested.connect(self.file_requested)
        self.popup.manage_requested.connect(self.manage_requested)
        self.clicked.connect(self.open)
        self._show_button()

    def set_entries(self, entries: list[ModelEntry]) -> None:
        """The models on this machine."""
        if entries == self._entries:
            return
        self._entries = entries
        if self.popup.isVisible():
            self.popup.show_models(entries, self._statuses, self._current)
        self._show_button()

    def set_current(self, name: str | None) -> None:
        """The model that answers in the conversation on view."""
        self._current = name
        self._show_button()

    def set_status(self, status: ModelStatus) -> None:
        """A model's state changed."""
        self._statuses[status.name] = status
        row = self.popup.rows.get(status.name)
        if row:
            row.show_status(status)
        if status.name == self._current:
            self._show_button()

    def status(self, name: str) -> ModelStatus:
        return self._statuses.get(name, ModelStatus(name, ModelState.UNLOADED))

    @Slot()
    def open(self) -> None:
        """Show the list."""
        self.opened.emit()
        self.popup.show_models(self._entries, self._statuses, self._current)
        self.popup.open_below(self)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._show_button()

    def _show_button(self) -> None:
        quiet = self.palette().color(QPalette.ColorRole.PlaceholderText)
        if self._current is None:
            self.setText(tr("No model") + "  ▾")
            self.setIcon(state_icon(ModelState.UNLOADED, quiet))
            self.setToolTip(tr("Choose the model that answers"))
            self.setAccessibleName(tr("Model: none chosen"))
            return
        status = self.status(self._current)
        current = next((entry for entry in self._entries if entry.name == self._current), None)
        text = marked_name(current) if current else self._current
        if status.state is ModelState.LOADING:
            text = loading_text(status)
        self.setText(text + "  ▾")
        self.setIcon(state_icon(status.state, quiet))
        self.setToolTip(plain_tip(state_text(status)))
        self.setAccessibleName(tr("Model: {name}, {state}", name=self._current, state=state_text(status)))
