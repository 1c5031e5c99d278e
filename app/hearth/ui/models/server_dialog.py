"""Adding a model that runs on a server: its address, its key, and which of its models."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from hearth.errors import RemoteRefused
from hearth.i18n import tr
from hearth.models.names import clean_name, free_name, is_name
from hearth.ui.models.notice import Notice
from hearth.ui.screen_room import within_screen
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import Space
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.wording import error_text, two_sentences

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry
    from hearth.services.model_manager import ModelManager

_EXAMPLE = "https://example.org/v1"
_LOCAL = {"localhost", "127.0.0.1", "::1"}
_WITHOUT_SCHEME = re.compile(
    r"(localhost|[\w-]+:\d+|[\w-]+(\.[\w-]+)+(:\d+)?|\[[\da-f:]+\](:\d+)?)(/.*)?", re.IGNORECASE
)


class ServerDialog(QDialog):
    """Asks the server for its models, and takes one of them into the list.

    Signals:
        added: the new ModelEntry.
    """

    added = Signal(object)

    def __init__(
        self, manager: ModelManager, tasks: Tasks, taken: frozenset[str], parent: QWidget | None = None
    ) -> None:
        """`taken`: names that models have already."""
        super().__init__(parent)
        self.setWindowTitle(tr("Add a Server"))
        self.setObjectName("serverDialog")
        self.setMinimumWidth(520)
        self._manager = manager
        self._tasks = tasks
        self._taken = taken
        self._busy = False
        self._suggested = ""
        heading = QLabel(tr("Add a model that runs on a server"), self)
        heading.setObjectName("pageTitle")
        heading.setWordWrap(True)
        about = QLabel(
            tr("Any server that speaks OpenAI's API will do: a machine in your network, or a service."), self
        )
        about.setProperty("kind", "secondary")
        about.setWordWrap(True)
        self._content = QWidget(self)
        self._content.setObjectName("serverContent")
        self.warning = Notice(self._content)
        self._trouble = QLabel(self)
        self._trouble.setProperty("kind", "danger")
        self._trouble.setWordWrap(True)
        self._trouble.setTextFormat(Qt.TextFormat.PlainText)
        self._trouble.hide()
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(Space.M)
        for part in (heading, about):
            self._column.addWidget(part)
        self._column.addLayout(self._build_form())
        self._column.addWidget(self.warning)
        self._column.addWidget(self._trouble)
        self._column.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 20)
        layout.setSpacing(Space.M)
        self._area = vertical_scroll(self._content, self)
        layout.addWidget(self._area, 1)
        layout.addLayout(self._build_buttons())
        self._show_state()

    def _build_form(self) -> QVBoxLayout:
        self.address = QLineEdit(self)
        self.address.setPlaceholderText(tr("Such as {address}", address=_EXAMPLE))
        self.address.textChanged.connect(self._on_server_edited)
        self.address.returnPressed.connect(self._on_return)
        self.key = QLineEdit(self)
        self.key.setEchoMode(QLineEdit.EchoMode.Password)
        self.key.setPlaceholderText(tr("Empty where the server needs none"))
        self.key.textChanged.connect(self._on_server_edited)
        self.key.returnPressed.connect(self._on_return)
        self.find_button = QPushButton(tr("List Models"), self)
        self.find_button.setAutoDefault(False)
        self.find_button.clicked.connect(self.look)
        self.model = ChoiceBox(self)
        self.model.setEditable(True)
        self.model.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.model.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        if line := self.model.lineEdit():
            line.setPlaceholderText(tr("What the server calls the model"))
        self.model.currentTextChanged.connect(self._on_model)
        self.name = QLineEdit(self)
        self.name.setMaxLength(64)
        self.name.textChanged.connect(self._show_state)
        form = QVBoxLayout()
        form.setSpacing(Space.XS)
        for text, field in (
            (tr("Address"), self.address),
            (tr("Key"), self.key),
            (tr("Model"), self.model),
            (tr("Name in Hearth"), self.name),
        ):
            label = QLabel(text, self)
            label.setBuddy(field)
            field.setAccessibleName(text)
            row = QHBoxLayout()
            row.setSpacing(Space.S)
            row.addWidget(field, 1)
            if field is self.model:
                row.addWidget(self.find_button)
            form.addWidget(label)
            form.addLayout(row)
            form.addSpacing(Space.S)
        self.key.setAccessibleDescription(tr("Kept in the system's key store"))
        return form

    def _build_buttons(self) -> QHBoxLayout:
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.cancel_button.clicked.connect(self.reject)
        self.add_button = QPushButton(tr("Add"), self)
        self.add_button.setProperty("kind", "primary")
        self.add_button.setDefault(True)
        self.add_button.clicked.connect(self._on_add)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel_button)
        buttons.addWidget(self.add_button)
        return buttons

    def error(self) -> str:
        """What is wrong, on view; empty where nothing is."""
        return "" if self._trouble.isHidden() else self._trouble.text()

    @Slot()
    def look(self) -> None:
        """Ask the server for its models."""
        manager, address, key = self._manager, self._address(), self.key.text().strip()
        self._set_busy(True)
        self.find_button.setText(tr("Asking…"))
        self._tasks.run(
            lambda: manager.server_models(address, key), owner=self, view="server.models", lane=Lane.FILES
        ).success(self._on_found).failure(self._on_failed)

    def _on_found(self, models: list[str]) -> None:
        self._set_busy(False)
        chosen = self.model.currentText()
        self.model.clear()
        self.model.addItems(models)
        self.model.setCurrentIndex(models.index(chosen) if chosen in models else (0 if models else -1))
        if not models:
            self.model.setEditText(chosen)
            said = tr("The server does not list its models: type what it calls the one you want.")
            ends = bool(urlsplit(self._address()).path)
            self._say(
                said if ends else two_sentences(tr("Most addresses end with /v1. Is it missing?"), said)
            )
        self._on_model(self.model.currentText())
        if len(models) > 1:
            self.model.setFocus()
            QTimer.singleShot(0, self.model, self.model.showPopup)

    @Slot()
    def _on_add(self) -> None:
        manager, name, model = self._manager, self.name.text().strip(), self.model.currentText().strip()
        address, key = self._address(), self.key.text().strip()
        self._set_busy(True)
        self._tasks.run(
            lambda: manager.add_remote(name, address=address, model=model, key=key),
            owner=self,
            lane=Lane.FILES,
        ).success(self._on_added).failure(self._on_failed)

    def _on_added(self, entry: ModelEntry) -> None:
        self._set_busy(False)
        self.accept()
        self.added.emit(entry)

    def _on_failed(self, error: Exception) -> None:
        self._set_busy(False)
        if isinstance(error, RemoteRefused):  # what else it would say is for a model that is there
            self._say(error.what_text())
            self.key.setFocus()
            self.key.selectAll()
        else:
            self._say(error_text(error))

    def _say(self, trouble: str) -> None:
        self._trouble.setText(trouble)
        self._trouble.setVisible(bool(trouble))
        if trouble:  # it has its place when the layout is done
            QTimer.singleShot(0, self, lambda: self._area.ensureWidgetVisible(self._trouble))

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        if busy:
            self._say("")
        self.find_button.setText(tr("List Models"))
        self._show_state()

    def _address(self) -> str:
        return _whole(self.address.text().strip().rstrip("/"))

    @Slot()
    def _on_return(self) -> None:
        """What comes next: the list of models, where there is none to add yet."""
        if self.find_button.isEnabled() and not self.add_button.isEnabled():
            self.look()

    @Slot()
    def _on_server_edited(self) -> None:
        self._say("")
        self._show_state()

    @Slot(str)
    def _on_model(self, model: str) -> None:
        """Suggest a name, as long as nobody has typed one."""
        if self.name.text() == self._suggested:
            last = model.strip().rstrip("/").rpartition("/")[2]
            self._suggested = free_name(clean_name(last), self._taken) if last else ""
            self.name.setText(self._suggested)
        self._show_state()

    @Slot()
    def _show_state(self) -> None:
        name = self.name.text().strip()
        has_address = bool(_host(self._address()))
        usable = is_name(name) and name not in self._taken
        self.find_button.setEnabled(has_address and not self._busy)
        self.add_button.setEnabled(
            has_address and usable and bool(self.model.currentText().strip()) and not self._busy
        )
        self.name.setToolTip("" if usable or not name else tr("This name is taken or cannot be used."))
        self.warning.say(_warning(self._address()))

    def _grow(self) -> None:
        """Room for all sentences, as far as the screen has it; a layout keeps none for lines that are wrapped."""
        layout = self.layout()
        if layout is not None and self.isVisible():
            layout.activate()
            margins = layout.contentsMargins()
            around = margins.top() + layout.spacing() + self.add_button.sizeHint().height() + margins.bottom()
            height = around + self._column.totalHeightForWidth(self._content.width())
            self.setMinimumHeight(within_screen(self, QSize(0, height)).height())

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() in (QEvent.Type.Show, QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._grow()
        return done


def _whole(address: str) -> str:
    """The address as it was typed, or with the scheme that was left out: within a network, few servers encrypt."""
    if not _WITHOUT_SCHEME.fullmatch(address):
        return address
    host = _host(f"http://{address}")
    try:
        near = ip_address(host).is_private
    except ValueError:
        near = "." not in host or host.endswith(".local")
    return f"{'http' if near else 'https'}://{address}"


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        return parts.hostname or "" if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _warning(address: str) -> str:
    """What leaves this computer, and for where."""
    host = _host(address)
    if not host:
        return tr("What you ask a remote model, and all that it has answered, goes to its server.")
    if host in _LOCAL:
        return tr(
            "What you ask this model goes to the program that answers at {host} on this computer.", host=host
        )
    text = tr(
        "What you ask this model, and all that it has answered, goes to {host}. Hearth cannot know what is done with it"
        " there.",
        host=host,
    )
    if address.startswith("http:"):
        open_ = tr("The connection is not encrypted: others in the network can read it, and the key.")
        return two_sentences(text, open_)
    return text
