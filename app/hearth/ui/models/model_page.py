"""The page of one model: its name and state, what can be done with it, what is known of it, and its settings."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal, SignalInstance, Slot
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth.config import EngineSection
from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.services.model_overview import ModelOverview
from hearth.ui.model_picker import action_text, state_icon, state_text
from hearth.ui.models import facts
from hearth.ui.models.facts_card import FactsCard
from hearth.ui.models.model_job import JobCard, ModelJob
from hearth.ui.models.model_settings_tab import ModelSettingsTab
from hearth.ui.models.notice import Notice
from hearth.ui.theme import Space, colour
from hearth.ui.vertical_scroll import vertical_scroll
from hearth.ui.wording import breakable

SCROLL_BAR = 12  # its width in the theme's style sheet


class ModelPage(QWidget):
    """Knows no services: it shows what it is given, and says what is wanted of the model on view.

    Attributes:
        name: of the model on view.
        settings: its tab with the settings.

    Signals:
        chat_wanted, load_wanted, unload_wanted, rename_wanted, remove_wanted, reveal_wanted, verify_wanted,
        measure_wanted, key_wanted: with the model's name.
    """

    chat_wanted = Signal(str)
    load_wanted = Signal(str)
    unload_wanted = Signal(str)
    rename_wanted = Signal(str)
    remove_wanted = Signal(str)
    reveal_wanted = Signal(str)
    verify_wanted = Signal(str)
    measure_wanted = Signal(str)
    key_wanted = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("modelPage")
        self.name = ""
        self._state = ModelState.UNLOADED
        self._asked: QWidget | None = None  # the button whose job is on its way
        column = QVBoxLayout(self)
        column.setContentsMargins(Space.XL, Space.L, 0, 0)
        column.setSpacing(Space.M)
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, Space.XL, 0)
        head.setSpacing(Space.M)
        self._build_title(head)
        self._build_buttons(head)
        self.waiting = Notice(self)
        self.job = JobCard(self)
        for part in (self.waiting, self.job):
            head.addWidget(part)
        column.addLayout(head)
        self.tabs = QTabWidget(self)
        self.tabs.setDocumentMode(True)
        self.settings = ModelSettingsTab(self)
        self.tabs.addTab(self._scroll(self._build_details()), tr("Details"))
        self.tabs.addTab(self._scroll(self.settings), tr("Settings"))
        column.addWidget(self.tabs, 1)
        self.tint()

    # Building

    def _build_title(self, head: QVBoxLayout) -> None:
        self.title = QLabel(self)
        self.title.setObjectName("pageTitle")
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        self.title.setWordWrap(True)
        self.rename_button = QToolButton(self)
        self.rename_button.setAccessibleName(tr("Rename"))
        self.rename_button.clicked.connect(lambda: self.rename_wanted.emit(self.name))
        first = QHBoxLayout()
        first.setSpacing(Space.S)
        first.addWidget(self.title, 1)
        first.addWidget(self.rename_button, 0, Qt.AlignmentFlag.AlignTop)
        self._dot = QLabel(self)
        self.state = QLabel(self)
        self.state.setProperty("kind", "secondary")
        self.state.setWordWrap(True)
        self.state.setTextFormat(Qt.TextFormat.PlainText)
        self.badges = {key: _badge(self) for key in ("format", "built_in", "in_place")}
        second = QHBoxLayout()
        second.setSpacing(Space.S)
        for badge in self.badges.values():
            second.addWidget(badge)
        second.addWidget(self._dot)
        second.addWidget(self.state, 1)
        self.bar = QProgressBar(self)
        self.bar.setRange(0, 100)
        self.bar.setTextVisible(False)
        lines = QVBoxLayout()
        lines.setSpacing(Space.XS)
        lines.addLayout(first)
        lines.addLayout(second)
        lines.addWidget(self.bar)
        head.addLayout(lines)

    def _build_buttons(self, head: QVBoxLayout) -> None:
        self.chat_button = QPushButton(tr("Chat"), self)
        self.chat_button.setProperty("kind", "primary")
        self.chat_button.clicked.connect(lambda: self.chat_wanted.emit(self.name))
        self.load_button = QPushButton(action_text(self._state), self)
        self.load_button.clicked.connect(self._on_load)
        self.remove_button = QPushButton(tr("Remove"), self)
        self.remove_button.setProperty("kind", "danger")
        self.remove_button.clicked.connect(lambda: self.remove_wanted.emit(self.name))
        row = QHBoxLayout()
        row.setSpacing(Space.S)
        row.addWidget(self.chat_button)
        row.addWidget(self.load_button)
        row.addStretch(1)
        row.addWidget(self.remove_button)
        head.addLayout(row)

    def _build_details(self) -> QWidget:
        details = QWidget(self)
        self.problem = Notice(details, danger=True)
        self.remote = Notice(details)
        self.about = FactsCard(tr("About"), details)
        self.itself = FactsCard(tr("Model"), details)
        self.here = FactsCard(tr("On this computer"), details)
        self.speed = FactsCard(tr("Speed"), details)
        self.quality = FactsCard(tr("Quality"), details)
        self.key_button = self._card_button(self.about, tr("Change Key…"), self.key_wanted)
        self.reveal_button = self._card_button(self.here, tr("Show Files"), self.reveal_wanted)
        self.verify_button = self._card_button(self.here, tr("Verify"), self.verify_wanted)
        self.measure_button = self._card_button(self.speed, tr("Measure Speed"), self.measure_wanted)
        column = QVBoxLayout(details)
        column.setContentsMargins(0, Space.L, 0, Space.L)
        column.setSpacing(Space.L)
        notices = (self.problem, self.remote)
        for part in (*notices, self.about, self.itself, self.here, self.speed, self.quality):
            column.addWidget(part)
        column.addStretch(1)
        return details

    def _card_button(self, card: FactsCard, text: str, wanted: SignalInstance) -> QPushButton:
        button = QPushButton(text, card)
        button.clicked.connect(lambda: wanted.emit(self.name))
        card.add_button(button)
        return button

    def _scroll(self, content: QWidget) -> QWidget:
        """`content` in a column that does not grow wider than a line can be read."""
        content.setMaximumWidth(Space.COLUMN)
        sides = QWidget(self)
        sides.setObjectName("modelColumn")
        layout = QHBoxLayout(sides)
        layout.setContentsMargins(0, 0, Space.XL - SCROLL_BAR, 0)
        layout.addWidget(content)
        area = vertical_scroll(sides, self)
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)  # unseen where there is no need
        area.viewport().setAutoFillBackground(False)
        return area

    # What is on view

    def show_model(
        self,
        model: ModelOverview,
        status: ModelStatus,
        engine: EngineSection,
        *,
        job: ModelJob | None = None,
        is_measuring: bool = False,
        problem: str = "",
    ) -> None:
        """Show this model.

        Args:
            job: what is being done to it.
            is_measuring: some model is being measured, so that no other can be used well.
            problem: what verifying found.
        """
        if model.name != self.name:
            self.name = model.name
            self.title.setText(breakable(model.name))
            self.title.setAccessibleName(model.name)
            self.setAccessibleName(model.name)
        self._show_badges(model)
        is_busy = job is not None
        focused = QApplication.focusWidget()  # a button that is disabled loses the keyboard
        self._show_notices(model, status, problem, is_busy=is_busy, is_measuring=is_measuring)
        self.job.show_job(job)
        self._show_facts(model)
        self._show_actions(model, is_busy=is_busy, is_measuring=is_measuring)
        self.settings.show_model(model, engine, status.state)
        self.show_status(status, is_answering=model.is_answering, can_use=not is_measuring)
        if is_busy and focused in (self.verify_button, self.measure_button):
            self._asked = focused
            self.job.cancel_button.setFocus()
        elif not is_busy and self._asked is not None:
            if focused is self.job.cancel_button:
                self._asked.setFocus()
            self._asked = None

    def show_status(self, status: ModelStatus, *, is_answering: bool, can_use: bool = True) -> None:
        """The model's state: what it is in words, and what the button does about it."""
        self._state = status.state
        failed = status.state is ModelState.FAILED
        self.state.setText(tr("Could not be loaded") if failed else state_text(status))
        if is_answering and status.state is ModelState.READY:
            self.state.setText(tr("Answering"))
        dot = round(1.1 * self.state.fontMetrics().height())
        self._dot.setPixmap(state_icon(status.state, colour("text_faint")).pixmap(QSize(dot, dot)))
        self.bar.setVisible(status.state is ModelState.LOADING)
        self.bar.setValue(round(status.progress * 100))
        self.bar.setAccessibleName(tr("Loading {name}", name=status.name))
        label = action_text(status.state)
        self.load_button.setText(label)
        self.load_button.setAccessibleName(f"{label}: {status.name}")
        self.load_button.setEnabled(can_use and not (is_answering and status.state is ModelState.READY))
        self.chat_button.setEnabled(can_use)

    def _show_badges(self, model: ModelOverview) -> None:
        texts = {
            "format": facts.format_text(model.format),
            "built_in": tr("part of Hearth") if model.built_in else "",
            "in_place": model.app or (tr("used in place") if model.in_place else ""),
        }
        for key, text in texts.items():
            badge = self.badges[key]
            badge.setText(text)
            badge.setVisible(bool(text))
        tone = "remote" if model.remote else ""
        badge = self.badges["format"]
        if badge.property("tone") != tone:
            badge.setProperty("tone", tone)
            badge.style().polish(badge)

    def _show_notices(
        self, model: ModelOverview, status: ModelStatus, problem: str, *, is_busy: bool, is_measuring: bool
    ) -> None:
        failure = str(status.error) if status.state is ModelState.FAILED and status.error else ""
        self.problem.say("\n".join(dict.fromkeys(filter(None, (model.problem, problem, failure)))))
        self.remote.say(
            tr(
                "This model is remote: what you ask it, and all that it has answered, goes to {address}.",
                address=model.remote.address,
            )
            if model.remote
            else ""
        )
        waits = ""
        if model.is_answering:
            waits = tr(
                "It is answering. Unload, Rename, Remove and Measure Speed wait until it has finished."
            )
        elif is_measuring and not is_busy:
            waits = tr("The speed of another model is being measured. Models wait until that is done.")
        self.waiting.say(waits)

    def _show_facts(self, model: ModelOverview) -> None:
        self.about.show_facts(facts.about(model))
        self.about.show_buttons(model.remote is not None)
        self.itself.show_facts(() if model.remote else facts.model_itself(model))
        self.here.show_facts(facts.on_this_computer(model))
        note = (
            ""
            if model.speed
            else tr("Not measured yet. It takes a minute or two; all models are unloaded for it.")
        )
        if model.speed and not model.is_speed_of_here:
            note = tr("Measured on another computer: {machine}.", machine=model.speed.machine)
        self.speed.show_facts(facts.speed(model.speed), note)
        self.speed.setVisible(model.remote is None)
        self.measure_button.setText(tr("Measure Again") if model.speed else tr("Measure Speed"))
        self.quality.show_facts(
            facts.quality(model.quality), facts.quality_note(model.quality) if model.quality else ""
        )

    def _show_actions(self, model: ModelOverview, *, is_busy: bool, is_measuring: bool) -> None:
        free = not (model.is_answering or is_busy)
        mine = free and not model.built_in
        why = tr("It is part of Hearth.") if model.built_in else ""
        self.rename_button.setEnabled(mine)
        self.rename_button.setToolTip(why or tr("{text} ({detail})", text=tr("Rename"), detail="F2"))
        self.remove_button.setEnabled(mine)
        self.remove_button.setToolTip(why)
        self.measure_button.setEnabled(free and not is_measuring)
        self.verify_button.setEnabled(not is_busy)
        self.key_button.setEnabled(free)

    # Looks

    def tint(self) -> None:
        """The theme's colours have changed."""
        for notice in (self.problem, self.remote, self.waiting):
            notice.tint()

    @Slot()
    def _on_load(self) -> None:
        loaded = self._state in (ModelState.LOADING, ModelState.READY)
        (self.unload_wanted if loaded else self.load_wanted).emit(self.name)


def _badge(parent: QWidget) -> QLabel:
    badge = QLabel(parent)
    badge.setObjectName("badge")
    badge.setTextFormat(Qt.TextFormat.PlainText)
    return badge
