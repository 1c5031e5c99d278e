"""The window Models: all models in a list, and a page for the chosen one."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QSplitter, QStackedWidget, QVBoxLayout, QWidget

from hearth.hardware.machine import read_machine
from hearth.i18n import tr
from hearth.models.registry import ModelEntry
from hearth.services.devices import DeviceReport, examine_devices
from hearth.services.events import ModelState, ModelStatus
from hearth.services.model_manager import ModelManager
from hearth.ui import theme
from hearth.ui.empty_state import EmptyState
from hearth.ui.models import models_state
from hearth.ui.models.model_acts import ModelActs
from hearth.ui.models.model_page import ModelPage
from hearth.ui.models.model_rows import Order
from hearth.ui.models.models_controller import ModelsController
from hearth.ui.models.models_sidebar import ModelsSidebar, icon_size
from hearth.ui.models.models_style import models_style
from hearth.ui.models.other_apps_page import OtherAppsPage
from hearth.ui.models.server_dialog import ServerDialog
from hearth.ui.screen_room import within_screen
from hearth.ui.tasks import Lane
from hearth.ui.to_front import bring_to_front
from hearth.ui.toast import Toast
from hearth.ui.wording import error_text

_LEAST_HEIGHT = 420


class ModelsWindow(QWidget):
    """Shows what its controller knows, and asks it for what the user wants.

    Attributes:
        controller: what it stands on.
        sidebar, list, page, others: its parts.
        dialog: the dialog for a server, while it is open.

    Signals:
        chat_wanted: a model's name.
        add_wanted: the user wants to find and fetch a model.
        import_wanted, file_wanted: the user wants to import a model's folder or file.
    """

    chat_wanted = Signal(str)
    add_wanted = Signal()
    import_wanted = Signal()
    file_wanted = Signal()

    def __init__(self, controller: ModelsController, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setObjectName("modelsWindow")
        self.controller = controller
        self._scale = 1.0
        self._selected: str | None = None
        self._devices: DeviceReport | None = None
        self._order = Order.NAME
        self.dialog: ServerDialog | None = None
        self.acts = ModelActs(controller, self)
        self.acts.chat_wanted.connect(self.chat_wanted)
        self.acts.rename_begun.connect(self._on_rename_begun)
        self.acts.refused.connect(self._on_refused)
        self._whole = QVBoxLayout(self)
        self._whole.setContentsMargins(0, 0, 0, 0)
        self._build()
        order = models_state.restore(self, self.splitter)
        self.setMinimumHeight(within_screen(self, QSize(0, _LEAST_HEIGHT)).height())
        if order in list(Order):
            self.list.orders[Order(order)].trigger()
        theme.theme().changed.connect(self._restyle)
        controller.refreshed.connect(self._on_refreshed)
        controller.found.connect(self._show_others)
        controller.status_changed.connect(self._on_status)
        controller.jobs_changed.connect(self._show)
        controller.renamed.connect(self._on_renamed)
        controller.said.connect(self._on_said)
        controller.failed.connect(self._on_failed)
        for keys, act in (
            ("Ctrl+F", self._on_find),
            ("F2", lambda: self.acts.rename(self._selected)),
            ("Ctrl+Z", controller.undo),
            ("Ctrl+N", self.add_wanted.emit),
            ("Ctrl+W", self.close),
            ("Esc", self._on_escape),
        ):
            QShortcut(QKeySequence(keys), self, act)

    # Building

    def _build(self) -> None:
        self.setWindowTitle(tr("Models"))
        self.splitter = QSplitter(Qt.Orientation.Horizontal, self)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(1)
        self.splitter.addWidget(self._build_sidebar())
        self.splitter.addWidget(self._build_right())
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([310, 710])
        self._whole.addWidget(self.splitter)
        self.toast = Toast(self, self.right)
        self._restyle()

    def _build_sidebar(self) -> QWidget:
        self.sidebar = ModelsSidebar(self._order, self)
        self.list = self.sidebar.list
        self.list.chosen.connect(self.show_model)
        self.list.opened.connect(self.chat_wanted)
        self.list.renamed.connect(self.controller.rename)
        self.list.remove_wanted.connect(self.acts.remove)
        self.list.menu_wanted.connect(self.acts.open_menu)
        self.sidebar.others_wanted.connect(self.show_others)
        self.sidebar.add_wanted.connect(self.add_wanted)
        self.sidebar.import_wanted.connect(self.import_wanted)
        self.sidebar.file_wanted.connect(self.file_wanted)
        self.sidebar.server_wanted.connect(self.add_server)
        return self.sidebar

    def _build_right(self) -> QWidget:
        self.right = QStackedWidget(self)
        self.right.setObjectName("modelsRight")
        self.right.setMinimumWidth(380)
        self.page = ModelPage(self.right)
        controller, page = self.controller, self.page
        page.chat_wanted.connect(self.chat_wanted)
        page.load_wanted.connect(controller.load)
        page.unload_wanted.connect(controller.unload)
        page.rename_wanted.connect(self.acts.rename)
        page.remove_wanted.connect(self.acts.remove)
        page.reveal_wanted.connect(controller.reveal)
        page.verify_wanted.connect(controller.verify)
        page.measure_wanted.connect(controller.measure)
        page.key_wanted.connect(self.acts.ask_key)
        page.settings.changed.connect(controller.change_settings)
        page.settings.devices_wanted.connect(self._on_devices_wanted)
        page.settings.load_again_wanted.connect(lambda: controller.load_again(page.name))
        self.others = OtherAppsPage(self.right)
        self.others.add_wanted.connect(controller.add_found)
        self.others.quantize_wanted.connect(controller.quantize)
        self.others.show_wanted.connect(self.show_model)
        self.others.look_wanted.connect(self._look_for_others)
        self.empty = EmptyState(self.right)
        self.empty.action_triggered.connect(self.add_wanted)
        self.empty.second_triggered.connect(self.show_others)
        self.blank = QWidget(self.right)
        for part in (self.blank, self.page, self.others, self.empty):
            self.right.addWidget(part)
        if self._devices:
            page.settings.show_devices(self._devices)
        return self.right

    # What others ask for

    def open(self, name: str | None = None) -> None:
        """Bring the window to the front, the first time with the page of that model."""
        if not self.isVisible():
            self.list.view.setFocus()
        bring_to_front(self)
        if name and self._selected is None:
            self.show_model(name)

    def set_font_scale(self, scale: float) -> None:
        """The size of the text, one of `window_state.FONT_SCALES`."""
        self._scale = scale
        self._restyle()

    def retranslate(self) -> None:
        """All widgets again, in the language in force."""
        self.page.settings.flush()
        others = self.right.currentWidget() is self.others
        self._order = self.list.order
        old, sizes = self.splitter, self.splitter.saveState()
        self.toast.deleteLater()
        self._whole.removeWidget(old)
        self._build()
        self.splitter.restoreState(sizes)
        old.hide()
        old.deleteLater()
        self._on_refreshed()
        if others:
            self.show_others()

    # What is on view

    @Slot(str)
    def show_model(self, name: str) -> None:
        """The page of this model."""
        self.page.settings.flush()
        self._selected = name
        self.sidebar.others_button.setChecked(False)
        self.right.setCurrentWidget(self.page)
        self._show()
        self.list.select(self._selected)

    @Slot()
    def show_others(self) -> None:
        """The models of other apps."""
        self.page.settings.flush()
        self.sidebar.others_button.setChecked(True)
        self.list.select(None)
        self.right.setCurrentWidget(self.others)
        self._show_others()
        self._look_for_others()

    @Slot()
    def add_server(self) -> None:
        """Open the dialog for a model on a server."""
        if self.dialog is not None:
            return
        models = self.controller.models or []
        taken = frozenset(name for model in models for name in (model.name, *model.aliases))
        manager = ModelManager(self.controller.hearth)
        self.dialog = ServerDialog(manager, self.controller.tasks, taken, self)
        self.dialog.added.connect(self._on_server_added)
        self.dialog.finished.connect(self._on_dialog_finished)
        self.dialog.open()

    @Slot()
    def _look_for_others(self) -> None:
        self.others.show_looking()
        self.controller.find_others()

    @Slot()
    def _show_others(self) -> None:
        if self.controller.findings is not None:
            self.others.show_findings(self.controller.findings, self.controller.jobs, self.controller.made)

    @Slot()
    def _on_refreshed(self) -> None:
        models = self.controller.models
        if models is None:
            return
        for model in models:
            self.list.set_status(self.controller.status(model.name))
        before = self.list.rows.names()
        self.list.show_models(models)
        if self.controller.model(self._selected) is None:
            # The next one comes on view where the last one was removed.
            names = self.list.rows.names() or [model.name for model in models]
            at = before.index(self._selected) if self._selected in before else 0
            self._selected = names[min(at, len(names) - 1)] if names else None
        if self.right.currentWidget() is not self.others:
            self.list.select(self._selected)
        self._show()

    @Slot()
    def _show(self) -> None:
        """The page, as things stand."""
        self._show_others()
        controller = self.controller
        if self.right.currentWidget() is self.others or controller.models is None:
            return
        model = controller.model(self._selected)
        if model is None:
            self._show_empty()
            return
        was_empty = self.right.currentWidget() is self.empty
        self.right.setCurrentWidget(self.page)
        if was_empty:
            self.list.view.setFocus()
        self.page.show_model(
            model,
            controller.status(model.name),
            controller.hearth.config.engine,
            job=controller.jobs.get(model.name),
            is_measuring=controller.is_measuring(),
            problem=controller.problems.get(model.name, ""),
        )

    def _show_empty(self) -> None:
        self.empty.show_words(
            tr("No models yet"),
            tr("Fetch one that suits this computer, or use one that another app has brought."),
            tr("Add a Model…"),
            tr("From Other Apps"),
        )
        if self.right.currentWidget() is not self.empty:
            self.right.setCurrentWidget(self.empty)
            self.empty.button.setFocus()  # the list, which has the keyboard else, is hidden

    @Slot(object)
    def _on_status(self, status: ModelStatus) -> None:
        self.list.set_status(status)
        model = self.controller.model(self._selected)
        if model is None or status.name != self._selected:
            return
        if status.state is ModelState.LOADING:
            self.page.show_status(status, is_answering=False, can_use=not self.controller.is_measuring())
        else:
            self._show()

    @Slot(str, str)
    def _on_renamed(self, old: str, new: str) -> None:
        if old == self._selected or not old:
            self._selected = new
            if self.right.currentWidget() is self.others and not old:
                return
            self.right.setCurrentWidget(self.page)

    # What the user does

    @Slot(str)
    def _on_rename_begun(self, name: str) -> None:
        if self.right.currentWidget() is not self.others:
            self.list.rename(name)

    @Slot(str)
    def _on_refused(self, text: str) -> None:
        self.toast.show_message(text)

    @Slot(object)
    def _on_server_added(self, entry: ModelEntry) -> None:
        self.right.setCurrentWidget(self.page)
        self.sidebar.others_button.setChecked(False)
        self.controller.added(entry.name)

    @Slot()
    def _on_dialog_finished(self) -> None:
        if self.dialog is not None:
            self.dialog.deleteLater()
            self.dialog = None

    @Slot()
    def _on_devices_wanted(self) -> None:
        settings = self.controller.hearth.config.engine
        self.controller.tasks.run(
            lambda: examine_devices(settings.device, settings.threads, read_machine()),
            owner=self,
            view="models.devices",
            lane=Lane.FILES,
        ).success(self._on_devices).failure(self._on_failed)

    def _on_devices(self, report: DeviceReport) -> None:
        self._devices = report
        self.page.settings.show_devices(report)

    @Slot(str, bool)
    def _on_said(self, text: str, can_undo: bool) -> None:
        if can_undo:
            self.toast.show_message(text, tr("Undo"), self.controller.undo)
        else:
            self.toast.show_message(text)

    @Slot(object)
    def _on_failed(self, error: Exception) -> None:
        if self.isVisible():
            self.toast.show_message(error_text(error))
        else:
            self.controller.tasks.failed.emit(error)

    @Slot()
    def _on_find(self) -> None:
        self.list.filter.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.list.filter.selectAll()

    @Slot()
    def _on_escape(self) -> None:
        if self.list.filter.text():
            self.list.filter.clear()
            self.list.filter.setFocus()
        else:
            self.close()

    # Looks, and the end

    @Slot()
    def _restyle(self) -> None:
        self.setStyleSheet(models_style(theme.theme().colours, self._scale))
        self._tint()

    def _tint(self) -> None:
        """Icons in the theme's colours, as high as the text."""
        self.sidebar.tint()
        side = icon_size(self.page.state)
        self.page.rename_button.setIcon(theme.icon("edit", size=side))
        self.page.rename_button.setIconSize(QSize(side, side))
        self.page.tint()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.retranslate()
        elif event.type() == QEvent.Type.ActivationChange and self.isActiveWindow():
            self.controller.refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.controller.watch(True)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.page.settings.flush()
        self.controller.watch(False)
        models_state.save(self, self.splitter, self.list.order.value)
        super().closeEvent(event)
