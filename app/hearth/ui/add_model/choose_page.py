"""The first page of the wizard: which model, from the catalogue, from the hub, or from this machine."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QStackedWidget, QWidget

from hearth.i18n import ntr, tr
from hearth.models.catalogue import USES, CatalogueEntry, catalogue
from hearth.models.hub.address import host, hosts
from hearth.models.hub.repository import repository_in
from hearth.services.model_forms import HubModel, Judged, recommended
from hearth.ui.add_model.listed_model import best_first, listed_entry, listed_found
from hearth.ui.add_model.model_list import ModelList
from hearth.ui.add_model.page import AddModelPage, LinkButton
from hearth.ui.add_model.waiting import Waiting
from hearth.ui.settings.choice_box import ChoiceBox
from hearth.ui.text_scale import text_label
from hearth.ui.theme import Space, icon, theme
from hearth.ui.wording import error_text

_SEARCH, _CATALOGUE = "search", "catalogue"


class ChoosePage(AddModelPage):
    """The catalogue, with its verdicts when they are there, or what a search on the hub has found.

    Attributes:
        is_measured: this machine's speeds are in the verdicts, as far as they can be.
        source: what is chosen: an entry of the catalogue, or the name of a repository; None while nothing is.

    Signals:
        search_wanted: the hub shall be asked for these words.
        folder_wanted, file_wanted: one of this machine shall be added.
    """

    search_wanted = Signal(str)
    folder_wanted = Signal()
    file_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            tr("Add a Model"),
            tr(
                "Models come from {host} and run on this machine. Nothing that you write is sent anywhere.",
                host=host(),
            ),
            parent,
            scrolls=True,
        )
        self.source: CatalogueEntry | str | None = None
        self.is_measured = False
        self._judged: dict[str, Judged] = {}
        self._recommended: CatalogueEntry | None = None
        self._found: list[HubModel] | None = None  # None: the catalogue is on view
        self._touched = False
        self._does = _SEARCH
        self._build_search()
        self._build_filter()
        self.list = ModelList(self)
        self.list.installEventFilter(self)
        self.list.chosen.connect(self._on_chosen)
        self.list.itemPressed.connect(lambda _item: self._touch())
        self.list.activated_row.connect(self._go_on_if_chosen)
        self.waiting = Waiting(self)
        self.waiting.pressed.connect(self._on_waiting_pressed)
        self.body = QStackedWidget(self)
        self.body.addWidget(self.list)
        self.body.addWidget(self.waiting)
        self.import_button = LinkButton(self, tr("Add a folder or file from this machine…"))
        self.import_button.clicked.connect(self._on_import)
        self.column.addWidget(self.body, 1)
        self.column.addWidget(self.import_button, 0, Qt.AlignmentFlag.AlignLeft)
        self.column.setContentsMargins(0, Space.XL, 0, Space.S)
        theme().changed.connect(self._restyle)
        self._restyle()
        self._show_catalogue()

    # What others tell

    def show_judged(self, judged: Sequence[Judged]) -> None:
        """Say how each model fits; once this machine is measured, the best first."""
        self._judged = {one.entry.id: one for one in judged}
        self.is_measured = all(one.is_measured for one in judged)
        self._recommended = recommended(judged) if self.is_measured else None
        if self._found is None:
            self._show_catalogue()

    def show_searching(self, words: str) -> None:
        """The hub is being asked."""
        self._found = []
        self.count.setText("")
        self.catalogue_button.show()
        self.waiting.show_busy(tr("Searching {host} for “{words}”…", host=host(), words=words))
        self._show_body(self.waiting)

    def show_found(self, words: str, found: list[HubModel]) -> None:
        """What the hub has for these words."""
        self._found = found
        self.catalogue_button.show()
        if found:
            self.count.setText(ntr("{n} result on {host}", "{n} results on {host}", len(found), host=host()))
            self.list.show_rows([listed_found(one) for one in found], None)
            self._show_body(self.list)
            self.list.setFocus()
        else:
            self.count.setText("")
            self._does = _CATALOGUE
            self.waiting.show_words(
                tr(
                    "{host} has nothing for “{words}” that Hearth can run. Try fewer or other words.",
                    host=host(),
                    words=words,
                ),
                tr("Show the Catalogue"),
            )
            self._show_body(self.waiting)
            self.search.setFocus()

    def show_failure(self, error: Exception) -> None:
        """The hub could not be asked."""
        self._does = _SEARCH
        self.waiting.show_words(error_text(error), tr("Try Again"))
        self._show_body(self.waiting)
        self.waiting.button.setFocus()

    def focus(self) -> QWidget | None:
        return self.list if self.body.currentWidget() is self.list and self.list.count() else self.search

    def is_search_filled(self) -> bool:
        """Whether Escape has something to put away before it leads back."""
        return bool(self.search.text()) or self._found is not None

    def is_searching(self) -> bool:
        """Whether the hub's answer is still wanted."""
        return self._found is not None

    @Slot()
    def show_catalogue(self) -> None:
        """Put the search away."""
        self._found = None
        self.search.clear()
        self._show_catalogue()

    # Building

    def _build_search(self) -> None:
        self.search = QLineEdit(self)
        self.search.setObjectName("addModelSearch")
        self.search.setClearButtonEnabled(True)
        self.search.setPlaceholderText(tr("Search, or paste a model's name or web address"))
        self.search.setAccessibleName(tr("Search for models"))
        self.search.textChanged.connect(self._on_typed)
        self.search.installEventFilter(self)
        self.search_button = QPushButton(tr("Search Online"), self)
        self.search_button.clicked.connect(self.search_hub)
        row = QHBoxLayout()
        row.setSpacing(Space.S)
        row.addWidget(self.search, 1)
        row.addWidget(self.search_button)
        self.column.addLayout(row)

    def _build_filter(self) -> None:
        self.count = text_label(self, kind="secondary")
        self.catalogue_button = LinkButton(self, tr("Show the Catalogue"))
        self.catalogue_button.clicked.connect(self.show_catalogue)
        self.catalogue_button.hide()
        self.use = ChoiceBox(self)
        self.use.setAccessibleName(tr("What the model shall be good at"))
        self.use.addItem(tr("For everything"), "")
        for key, name in USES.items():
            text = tr(name)
            self.use.addItem(text[:1].upper() + text[1:], key)
        self.use.currentIndexChanged.connect(lambda _index: self._show_catalogue())
        row = QHBoxLayout()
        row.setSpacing(Space.M)
        row.addWidget(self.count, 1)
        row.addWidget(self.catalogue_button)
        row.addWidget(self.use)
        self.column.addLayout(row)

    # What is on view

    def _show_catalogue(self) -> None:
        self._found = None
        self.catalogue_button.hide()
        self.use.show()
        entries = [entry for entry in catalogue() if self._fits_filter(entry)]
        if self.is_measured:
            entries = best_first(self._judged, entries, self._recommended)
        chosen = self.source if self._touched or not self.is_measured else None
        rows = [
            listed_entry(entry, self._judged.get(entry.id), is_recommended=entry is self._recommended)
            for entry in entries
        ]
        if rows:
            text = ntr("{n} model", "{n} models", len(rows))
            if not self.is_measured:
                text = tr("{text} · measuring this machine…", text=text)
            elif len(rows) > 1:
                text = tr("{text}, the best for this machine first", text=text)
            self.count.setText(text)
            self.list.show_rows(rows, chosen)
            self._show_body(self.list)
            return
        self.count.setText("")
        self._does = _SEARCH
        repository = self.repository()
        if repository is not None:
            text = tr("Press Enter to see what {name} has.", name=repository)
            self.waiting.show_words(text, tr("Look at This Model"))
        elif self.search.text().strip():
            text = tr("The catalogue has no such model. {host} may have it: press Enter.", host=host())
            self.waiting.show_words(text, tr("Search Online"))
        else:
            self.waiting.show_words(tr("The catalogue has no such model."))
        self._show_body(self.waiting)

    def _show_body(self, widget: QWidget) -> None:
        self.body.setCurrentWidget(widget)
        self.use.setVisible(self._found is None)
        self._on_chosen()

    def _fits_filter(self, entry: CatalogueEntry) -> bool:
        use = self.use.currentData()
        about = f"{entry.uses_text} {entry.good_at_text} {entry.licence}"
        text = f"{entry.name} {entry.id} {entry.repository} {about}".lower()
        words = (self.repository() or self.search.text()).lower().split()
        return (not use or use in entry.uses) and all(word in text for word in words)

    # What the user does

    def repository(self) -> str | None:
        """The repository that was typed or pasted."""
        return repository_in(self.search.text(), hosts())

    @Slot()
    def search_hub(self) -> None:
        """Ask the hub for what was typed; a repository's name leads to its page."""
        words, repository = self.search.text().strip(), self.repository()
        if repository is not None:
            self.source = repository
            self.went_on.emit()
        elif words:
            self.search_wanted.emit(words)
        else:
            self.search.setFocus()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Enter in the field searches, Down leads into the list; there Enter goes on, and letters are searched for."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            # What is used with keys comes into view; of the list itself, Qt would show the chosen row alone.
            self.area.ensureWidgetVisible(self.body if watched is self.list else self.search, 0, 0)
            enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if watched is self.search and enter:
                if self.search.text().strip():
                    self.search_hub()
                else:
                    self._go_on_if_chosen()
                return True
            if watched is self.search and event.key() == Qt.Key.Key_Down:
                self.list.setFocus()
                self.area.ensureWidgetVisible(self.body, 0, 0)
                return True
            if watched is self.list and enter:
                self._go_on_if_chosen()
                return True
            if watched is self.list and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
                self._touch()
            elif watched is self.list and event.text().strip() and event.text().isprintable():
                self.search.setFocus()
                self.area.ensureWidgetVisible(self.search, 0, 0)
                self.search.insert(event.text())
                return True
        return super().eventFilter(watched, event)

    @Slot()
    def _go_on_if_chosen(self) -> None:
        if self.can_go_on:
            self.went_on.emit()

    @Slot(str)
    def _on_typed(self, _text: str) -> None:
        self.search_button.setText(tr("Look at This Model") if self.repository() else tr("Search Online"))
        self._show_catalogue()

    def _touch(self) -> None:
        """The user chooses: what they have chosen stays."""
        self._touched = True
        self._on_chosen()

    @Slot()
    def _on_chosen(self) -> None:
        on_list = self.body.currentWidget() is self.list
        row = self.list.row_chosen() if on_list else None
        self.source = row.source if row is not None else None
        # The first one is advised when this machine is known, and until then only the first of a list.
        is_meant = self.is_measured or self._touched or self.is_search_filled()
        self.show_buttons(tr("Continue"), back=tr("Close"), enabled=row is not None and is_meant)

    @Slot()
    def _on_waiting_pressed(self) -> None:
        if self._does == _SEARCH:
            self.search_hub()
        else:
            self.show_catalogue()

    @Slot()
    def _on_import(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("A model folder…")).triggered.connect(self.folder_wanted)
        menu.addAction(tr("A model file (GGUF)…")).triggered.connect(self.file_wanted)
        menu.popup(self.import_button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    @Slot()
    def _restyle(self) -> None:
        self.search_button.setIcon(icon("search"))
