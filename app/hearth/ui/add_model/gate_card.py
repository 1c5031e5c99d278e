"""What to do where a model is given only to those who have agreed to its licence: three steps, and a field for the token."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QPushButton, QWidget

from hearth.errors import TokenRefused
from hearth.i18n import tr
from hearth.models.hub.address import host, token_page
from hearth.ui.add_model.page import LinkButton, card, section_label
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space
from hearth.ui.wording import error_text


class GateCard(QWidget):
    """Hidden where it is not needed.

    Signals:
        token_given: a token that shall be used from now on.
        again_wanted: the hub shall be asked once more, with what it knows.
        link_activated: an address to be opened in the browser.
    """

    token_given = Signal(str)
    again_wanted = Signal()
    link_activated = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._page = ""
        frame, column = card(self)
        column.addWidget(section_label(frame, tr("Its licence must be agreed to first")))
        column.addWidget(
            text_label(
                frame,
                tr(
                    "{host} gives this model only to accounts that have agreed. It takes a minute:",
                    host=host(),
                ),
                kind="secondary",
            )
        )
        self.page_button = LinkButton(frame, tr("1. Agree to the licence on the model's page…"))
        self.page_button.clicked.connect(lambda: self.link_activated.emit(self._page))
        self.token_button = LinkButton(frame, tr("2. Make an access token for reading…"))
        self.token_button.clicked.connect(lambda: self.link_activated.emit(token_page()))
        for button in (self.page_button, self.token_button):
            column.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(
            text_label(frame, tr("3. Paste the access token here. The system's key store keeps it."))
        )
        self.token = QLineEdit(frame)
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setAccessibleName(tr("Access token for {host}", host=host()))
        self.token.returnPressed.connect(self._on_token)
        self.use_button = QPushButton(tr("Use the Access Token"), frame)
        self.use_button.setEnabled(False)
        self.use_button.clicked.connect(self._on_token)
        self.token.textChanged.connect(lambda text: self.use_button.setEnabled(bool(text.strip())))
        self.again_button = QPushButton(tr("Check Again"), frame)
        self.again_button.clicked.connect(self.again_wanted)
        column.addWidget(self.token)
        row = QHBoxLayout()
        row.setSpacing(Space.S)
        row.addWidget(self.use_button)
        row.addWidget(self.again_button)
        row.addStretch(1)
        column.addLayout(row)
        self.problem = text_label(frame, kind="danger")
        self.problem.hide()
        column.addWidget(self.problem)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(frame)
        self._frame: QFrame = frame

    def show_gate(self, page: str) -> None:
        """The model's page is there."""
        self._page = page
        self.page_button.setToolTip(page)
        self.token_button.setToolTip(token_page())
        self.show()

    def say(self, problem: str) -> None:
        """Say what is wrong with the token; "" where nothing is."""
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def show_failure(self, error: Exception) -> None:
        """The token cannot be used."""
        self.set_busy(False)
        # What else it would say is for the terminal.
        self.say(error.what_text() if isinstance(error, TokenRefused) else error_text(error))
        self.token.setFocus()
        self.token.selectAll()

    def set_busy(self, busy: bool) -> None:
        """Whether the hub is being asked."""
        self._frame.setEnabled(not busy)
        if busy:
            self.say("")

    @Slot()
    def _on_token(self) -> None:
        token = self.token.text().strip()
        if token:
            self.set_busy(True)
            self.token_given.emit(token)
