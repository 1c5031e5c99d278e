"""The list of models: filtered, sorted, renamed in place, by mouse or keyboard alone."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QObject, QPoint, Qt, Signal, Slot
from PySide6.QtGui import QAction, QActionGroup, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from hearth.i18n import tr
from hearth.services.events import ModelStatus
from hearth.services.model_overview import ModelOverview
from hearth.ui.models.model_rows import ModelRows, Order, RowDelegate, matches
from hearth.ui.theme import Space


class ModelList(QWidget):
    """Filter and order above, rows below.

    Attributes:
        order: what the rows are sorted by.

    Signals:
        chosen: the user selected this model.
        opened: the user wants to chat with it: by a double click, or by Enter.
        renamed: a model, and what was typed for its new name.
        remove_wanted: a model.
        menu_wanted: a model, and where on the screen.
        order_changed: the rows are sorted by something else.
    """

    chosen = Signal(str)
    opened = Signal(str)
    renamed = Signal(str, str)
    remove_wanted = Signal(str)
    menu_wanted = Signal(str, QPoint)
    order_changed = Signal()

    def __init__(self, order: Order, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.order = order
        self._models: list[ModelOverview] = []
        self._quiet = False
        self.rows = ModelRows(self)
        self.rows.renamed.connect(self.renamed)
        self.filter = QLineEdit(self)
        self.filter.setObjectName("modelsFilter")
        self.filter.setPlaceholderText(tr("Filter models"))
        self.filter.setAccessibleName(tr("Filter models"))
        self.filter.setClearButtonEnabled(True)
        self.filter.textChanged.connect(self._fill)
        self.filter.installEventFilter(self)
        self.order_button = self._build_order_button()
        self._build_view()
        self._empty = QLabel(self)
        self._empty.setProperty("kind", "faint")
        self._empty.setWordWrap(True)
        self._empty.setTextFormat(Qt.TextFormat.PlainText)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._empty.setContentsMargins(Space.L, Space.XL, Space.L, 0)
        self._empty.hide()
        top = QHBoxLayout()
        top.setContentsMargins(10, 10, 8, Space.S)
        top.setSpacing(Space.XS)
        top.addWidget(self.filter, 1)
        top.addWidget(self.order_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(top)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self.view, 1)

    def _build_view(self) -> None:
        self.view = QListView(self)
        self.view.setObjectName("modelsList")
        self.view.setAccessibleName(tr("Models"))
        self.view.setModel(self.rows)
        self.view.setItemDelegate(RowDelegate(self.rows, self.view))
        self.view.setFrameShape(QListView.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setEditTriggers(QAbstractItemView.EditTrigger.EditKeyPressed)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._on_menu)
        self.view.doubleClicked.connect(self._on_opened)
        self.view.selectionModel().currentChanged.connect(self._on_current_changed)
        self.view.installEventFilter(self)

    def _build_order_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName("modelsOrder")
        button.setAccessibleName(tr("Sort by"))
        button.setToolTip(tr("Sort by"))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        group = QActionGroup(menu)
        self.orders: dict[Order, QAction] = {}
        for order, text in (
            (Order.NAME, tr("Name")),
            (Order.SIZE, tr("Size")),
            (Order.LAST_USED, tr("Last Used")),
        ):
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(order is self.order)
            action.setActionGroup(group)
            action.triggered.connect(lambda _=False, chosen=order: self._on_order(chosen))
            self.orders[order] = action
        button.setMenu(menu)
        return button

    def show_models(self, models: list[ModelOverview]) -> None:
        """All models that there are."""
        self._models = models
        self._fill()

    def set_status(self, status: ModelStatus) -> None:
        self.rows.set_status(status)

    def select(self, name: str | None) -> None:
        """Mark this model as the one on view, without telling."""
        self._quiet = True
        index = self.rows.place(name) if name else QModelIndex()
        if index.isValid():
            self.view.selectionModel().setCurrentIndex(
                index, QItemSelectionModel.SelectionFlag.ClearAndSelect
            )
            self.view.scrollTo(index)
        else:
            self.view.selectionModel().clear()
        self._quiet = False

    def selected(self) -> str | None:
        model = self.rows.model_at(self.view.currentIndex())
        return model.name if model else None

    def rename(self, name: str) -> None:
        """Open the editor in this model's row."""
        index = self.rows.place(name)
        if not index.isValid():
            self.filter.clear()  # it hides the row
            index = self.rows.place(name)
        if index.isValid():
            self.view.setFocus()
            self.view.scrollTo(index)
            self.view.setCurrentIndex(index)
            self.view.edit(index)

    @Slot()
    def _fill(self) -> None:
        words = self.filter.text()
        rows = [model for model in self._models if matches(model, words)]
        self._quiet = True
        self.rows.replace(sorted(rows, key=self.order.key()))
        self._quiet = False
        self._empty.setText(
            tr("No model matches “{words}”.", words=words.strip()) if self._models else tr("No models yet.")
        )
        self._empty.setVisible(not rows)
        self.view.setVisible(bool(rows))

    def _on_order(self, order: Order) -> None:
        self.order = order
        self._fill()
        self.order_changed.emit()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return super().eventFilter(watched, event)
        name = self.selected()
        if watched is self.view and name:
            if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
                self.remove_wanted.emit(name)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self.opened.emit(name)
                return True
        if watched is self.filter and event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._go_to_rows()
            return True
        return super().eventFilter(watched, event)

    def _go_to_rows(self) -> None:
        if not self.view.currentIndex().isValid():
            self.view.setCurrentIndex(self.rows.index(0))
        self.view.setFocus()

    @Slot(QModelIndex, QModelIndex)
    def _on_current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        model = self.rows.model_at(current)
        if model and not self._quiet:
            self.chosen.emit(model.name)

    @Slot(QModelIndex)
    def _on_opened(self, index: QModelIndex) -> None:
        model = self.rows.model_at(index)
        if model:
            self.opened.emit(model.name)

    @Slot(QPoint)
    def _on_menu(self, point: QPoint) -> None:
        model = self.rows.model_at(self.view.indexAt(point))
        if model:
            self.menu_wanted.emit(model.name, self.view.viewport().mapToGlobal(point))
