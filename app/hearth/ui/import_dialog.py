"""Adding a model folder to Hearth: what it is, under which name, copied or used where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QFont
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from hearth.errors import HearthError, ModelNameOnItsWay
from hearth.i18n import tr
from hearth.models.names import is_name
from hearth.ui.tasks import Lane, Tasks
from hearth.ui.theme import FontSize, font
from hearth.ui.transfer_progress import TransferProgress
from hearth.ui.wording import error_text, size_text

if TYPE_CHECKING:
    from hearth.models.registry import ModelEntry, ModelRegistry


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What the folder or file holds, and what Hearth already has.

    Attributes:
        context_length: tokens that prompt and answer may have together; 0 where it does not say.
        taken: names and aliases in use, in small letters.
        coming: names of models that are on their way.
    """

    path: Path
    format: str
    architecture: str
    context_length: int
    bytes: int
    suggested: str
    taken: frozenset[str]
    coming: frozenset[str] = frozenset()


def read_facts(registry: ModelRegistry, path: Path) -> FolderFacts:
    """Check the folder or file and read its facts; worker thread.

    Raises:
        HearthError: it is no model that Hearth can run.
    """
    from hearth.model_folder.hub_cache import snapshot_folder
    from hearth.models.hub.names_on_the_way import names_on_the_way
    from hearth.models.source import open_source

    path = snapshot_folder(path)
    source = open_source(path)
    taken = {name.lower() for entry in registry.list() for name in (entry.name, *entry.aliases)}
    return FolderFacts(
        path,
        source.format,
        source.facts.architecture,
        source.facts.context_length,
        source.bytes,
        registry.suggest_name(path),
        frozenset(taken),
        frozenset(names_on_the_way(registry.root)),
    )


def name_problem(name: str, taken: frozenset[str], coming: frozenset[str] = frozenset()) -> str:
    """Why `name` cannot be used, in words; empty where it can."""
    if not name:
        return tr("The model needs a name.")
    if not is_name(name):
        return tr("Use small letters, digits, dots, dashes and underscores, starting with a letter or digit.")
    if name.lower() in taken:
        return tr("There is already a model named “{name}”.", name=name)
    if name in coming:
        return str(ModelNameOnItsWay(name=name))
    return ""


class ImportDialog(QDialog):
    """Reads a folder, shows what it is, and imports it.

    Signals:
        imported: the new ModelEntry.
        another_wanted: the user wants to choose another folder.
    """

    imported = Signal(object)
    another_wanted = Signal()

    def __init__(
        self, registry: ModelRegistry, tasks: Tasks, path: Path, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Import a model"))
        self.setObjectName("importDialog")
        self.setMinimumWidth(500)
        self._registry = registry
        self._tasks = tasks
        self._path = path
        self._facts: FolderFacts | None = None
        self._cancelled = Event()
        self._running = False
        self._heading = QLabel(path.name or str(path), self)
        self._heading.setProperty("kind", "title")
        self._heading.setFont(font(FontSize.TITLE, weight=QFont.Weight.DemiBold))
        self._where = QLabel(str(path), self)
        self._where.setProperty("kind", "secondary")
        self._where.setWordWrap(True)
        self._pages = QStackedWidget(self)
        self._reading = QLabel(tr("Reading the folder…"), self)
        self._form = self._build_form()
        self._problem = self._build_problem()
        for page in (self._reading, self._form, self._problem):
            self._pages.addWidget(page)
        self.cancel_button = QPushButton(tr("Cancel"), self)
        self.cancel_button.clicked.connect(self.reject)
        self.another_button = QPushButton(tr("Choose another folder…"), self)
        self.another_button.setProperty("kind", "primary")
        self.another_button.clicked.connect(self._on_another)
        self.another_button.hide()
        self.import_button = QPushButton(tr("Import"), self)
        self.import_button.setProperty("kind", "primary")
        self.import_button.setDefault(True)
        self.import_button.setEnabled(False)
        self.import_button.clicked.connect(self._on_import)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (self.cancel_button, self.another_button, self.import_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 20)
        layout.setSpacing(10)
        layout.addWidget(self._heading)
        layout.addWidget(self._where)
        layout.addWidget(self._pages, 1)
        layout.addLayout(buttons)
        tasks.run(lambda: read_facts(registry, path), owner=self, lane=Lane.FILES).success(
            self._on_facts
        ).failure(self._on_unusable)

    def error(self) -> str:
        """The problem on view; empty where there is none."""
        return self._error.text() if self._pages.currentWidget() is self._problem else self._trouble.text()

    def reject(self) -> None:
        """Cancel: an import that runs is stopped first, and the dialog closes when it has cleaned up."""
        if self._running:
            self._cancelled.set()
            self.cancel_button.setEnabled(False)
            self.progress.say(tr("Cancelling…"))
        else:
            super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._running:
            event.ignore()
        self.reject()

    def event(self, event: QEvent) -> bool:
        """Grow where a text needs it, since one that wraps cannot ask for its height by itself."""
        handled = super().event(event)
        # The request comes when the pages below have laid themselves out; before that their heights are old.
        if event.type() == QEvent.Type.LayoutRequest:
            self._grow()
        return handled

    def _grow(self) -> None:
        layout = self.layout()
        if layout is not None and layout.hasHeightForWidth():
            self.resize(self.size().expandedTo(QSize(0, layout.totalHeightForWidth(self.width()))))

    def _build_form(self) -> QWidget:
        page = QWidget(self)
        form = QFormLayout(page)
        form.setContentsMargins(0, 8, 0, 0)
        form.setVerticalSpacing(10)
        form.setHorizontalSpacing(16)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._format = QLabel(page)
        self._size = QLabel(page)
        self._context = QLabel(page)
        self.name_field = QLineEdit(page)
        self.name_field.setObjectName("modelNameField")
        self.name_field.setAccessibleName(tr("Name of the model in Hearth"))
        self.name_field.textChanged.connect(self._on_name)
        self._trouble = QLabel(page)
        self._trouble.setProperty("kind", "danger")
        self._trouble.setWordWrap(True)
        self.copy_choice = QRadioButton(tr("Copy it into Hearth's own folder"), page)
        self.copy_choice.setChecked(True)
        self.in_place_choice = QRadioButton(tr("Use it where it is"), page)
        self.in_place_choice.setToolTip(
            tr("No copy is made. The model stops working when the folder is moved.")
        )
        self.progress = TransferProgress(tr("Progress of the import"), page)
        self.progress.hide()
        choice = QVBoxLayout()
        choice.setSpacing(4)
        choice.addWidget(self.copy_choice)
        choice.addWidget(self.in_place_choice)
        form.addRow(tr("Format"), self._format)
        form.addRow(tr("Size"), self._size)
        form.addRow(tr("Longest conversation"), self._context)
        form.addRow(tr("Name"), self.name_field)
        form.addRow("", self._trouble)
        form.addRow(tr("Files"), choice)
        form.addRow(self.progress)
        return page

    def _build_problem(self) -> QWidget:
        page = QWidget(self)
        self._error = QLabel(page)
        self._error.setProperty("kind", "danger")
        self._error.setTextFormat(Qt.TextFormat.PlainText)
        self._remedy = QLabel(page)
        self._remedy.setTextFormat(Qt.TextFormat.PlainText)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 8, 0, 0)
        for label in (self._error, self._remedy):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            layout.addWidget(label)
        layout.addStretch(1)
        return page

    def _on_facts(self, facts: FolderFacts) -> None:
        # Only now: it needs the services, for which the window does not wait when it opens.
        from hearth.ui.models.facts import format_text

        self._facts = facts
        self._format.setText(
            tr("{text} ({detail})", text=format_text(facts.format), detail=facts.architecture)
        )
        self._size.setText(size_text(facts.bytes))
        self._context.setText(tr("{tokens} tokens", tokens=facts.context_length or "?"))
        self.name_field.setText(facts.suggested)
        self._pages.setCurrentWidget(self._form)
        self._on_name(facts.suggested)
        self.name_field.setFocus()
        self.name_field.selectAll()

    def _on_unusable(self, error: Exception) -> None:
        if isinstance(error, HearthError):
            self._error.setText(error.what_text())
            self._remedy.setText(error.remedy_text())
        else:
            self._error.setText(error_text(error))
            self._tasks.failed.emit(error)
        self._pages.setCurrentWidget(self._problem)
        self.another_button.show()
        self.another_button.setFocus()
        self.import_button.hide()

    @Slot(str)
    def _on_name(self, name: str) -> None:
        facts = self._facts
        problem = name_problem(name, facts.taken, facts.coming) if facts else ""
        self._trouble.setText(problem)
        self.import_button.setEnabled(not problem and not self._running and self._facts is not None)

    @Slot()
    def _on_import(self) -> None:
        registry, path, name = self._registry, self._path, self.name_field.text()
        in_place, cancelled, progress = self.in_place_choice.isChecked(), self._cancelled, self.progress

        def job() -> ModelEntry | None:
            try:
                return registry.import_folder(
                    path, name=name, in_place=in_place, progress=progress.tell, cancelled=cancelled.is_set
                )
            except Exception:
                if cancelled.is_set():
                    return None
                raise

        self._set_running(True)
        self._trouble.setText("")
        self.progress.begin()
        self._tasks.run(job, owner=self, lane=Lane.FILES).success(self._on_imported).failure(
            self._on_import_failed
        )

    def _on_imported(self, entry: ModelEntry | None) -> None:
        self._set_running(False)
        if entry is None:
            super().reject()
            return
        self.accept()
        self.imported.emit(entry)

    def _on_import_failed(self, error: Exception) -> None:
        self._set_running(False)
        self._trouble.setText(error_text(error))

    def _set_running(self, running: bool) -> None:
        self._running = running
        for widget in (self.name_field, self.copy_choice, self.in_place_choice):
            widget.setEnabled(not running)
        self.import_button.setEnabled(not running)
        self.progress.setVisible(running)

    @Slot()
    def _on_another(self) -> None:
        self.reject()
        self.another_wanted.emit()
