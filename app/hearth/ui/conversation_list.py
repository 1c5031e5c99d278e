"""The list of conversations: newest first, renamed in place, by mouse or keyboard alone."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    QTimer,
    Signal,
    Slot,
)
from PySide6.QtGui import QFocusEvent, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from hearth.conversations.message import Conversation
from hearth.i18n import tr
from hearth.ui.help.rows import paint_row
from hearth.ui.relative_date import relative_date
from hearth.ui.theme import colour

_Index = QModelIndex | QPersistentModelIndex
_ROW_HEIGHT = 2.9  # of the font's line height: one line for the title, one for the date, and air
_MARGIN = 12
_BY_KEYS = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)


def title_of(conversation: Conversation) -> str:
    """The title as shown; an unnamed conversation is a new chat."""
    return conversation.title or tr("New chat")


class ConversationModel(QAbstractListModel):
    """The conversations as rows.

    Signals:
        renamed: id and new title, when a row was edited.
        more_wanted: the view has come to the end of what is known.
    """

    renamed = Signal(str, str)
    more_wanted = Signal()

    ROLE = int(Qt.ItemDataRole.UserRole)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[Conversation] = []
        self._total = 0

    def replace(self, rows: list[Conversation], total: int) -> None:
        """Show `rows`, the newest of `total`; rows that stay keep their selection."""
        persistent = self.persistentIndexList()
        ids = [self._rows[index.row()].id for index in persistent if index.row() < len(self._rows)]
        self.layoutAboutToBeChanged.emit()
        self._rows, self._total = rows, total
        places = {row.id: place for place, row in enumerate(rows)}
        for index, conversation_id in zip(persistent, ids, strict=False):
            place = places.get(conversation_id)
            self.changePersistentIndex(index, QModelIndex() if place is None else self.index(place))
        self.layoutChanged.emit()

    def place(self, conversation_id: str) -> QModelIndex:
        """The row of that conversation; invalid where there is none."""
        for row, conversation in enumerate(self._rows):
            if conversation.id == conversation_id:
                return self.index(row)
        return QModelIndex()

    def conversation(self, index: _Index) -> Conversation | None:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        return self._rows[index.row()]

    def conversations(self) -> list[Conversation]:
        return list(self._rows)

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        conversation = self.conversation(index)
        if conversation is None:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return title_of(conversation)
        if role == Qt.ItemDataRole.EditRole:
            return conversation.title
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            return f"{title_of(conversation)}, {relative_date(conversation.updated_at, datetime.now(UTC))}"
        if role == self.ROLE:
            return conversation
        return None

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        conversation = self.conversation(index)
        title = str(value).strip()
        if (
            conversation is None
            or role != Qt.ItemDataRole.EditRole
            or not title
            or title == conversation.title
        ):
            return False
        conversation.title = title
        self.dataChanged.emit(index, index)
        self.renamed.emit(conversation.id, title)
        return True

    def flags(self, index: _Index) -> Qt.ItemFlag:
        return super().flags(index) | Qt.ItemFlag.ItemIsEditable

    def canFetchMore(self, parent: _Index) -> bool:
        return not parent.isValid() and len(self._rows) < self._total

    def fetchMore(self, parent: _Index) -> None:
        self.more_wanted.emit()


class ConversationDelegate(QStyledItemDelegate):
    """Paints one conversation: title, and below it when it was last used."""

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(100, round(option.fontMetrics.height() * _ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        conversation = index.data(ConversationModel.ROLE)
        if not isinstance(conversation, Conversation):
            return
        rect: QRect = option.rect.adjusted(8, 1, -8, -1)
        paint_row(painter, rect, option)
        painter.save()
        metrics = option.fontMetrics
        line = metrics.height()
        inner = rect.adjusted(_MARGIN, 0, -_MARGIN, 0)
        top = rect.center().y() - line
        painter.setPen(colour("text"))
        title = metrics.elidedText(title_of(conversation), Qt.TextElideMode.ElideRight, inner.width())
        painter.drawText(QRect(inner.left(), top, inner.width(), line), Qt.AlignmentFlag.AlignVCenter, title)
        font = painter.font()
        font.setPointSizeF(font.pointSizeF() * 0.86)
        painter.setFont(font)
        painter.setPen(colour("text_secondary"))
        when = relative_date(conversation.updated_at, datetime.now(UTC))
        painter.drawText(
            QRect(inner.left(), top + line + 1, inner.width(), line), Qt.AlignmentFlag.AlignVCenter, when
        )
        painter.restore()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setAccessibleName(tr("Title of the conversation"))
        editor.setMaxLength(200)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: _Index) -> None:
        rect: QRect = option.rect.adjusted(12, 0, -12, 0)
        height = editor.sizeHint().height()
        editor.setGeometry(QRect(rect.left(), rect.center().y() - height // 2, rect.width(), height))


class ConversationList(QWidget):
    """The list with its empty state.

    Signals:
        chosen: the conversation that the user selected.
        rename_requested: id and new title.
        delete_requested: id.
        more_wanted: the user has come to the end of what is known.
        left: the user is done in the list: Enter was pressed, or the editor of a title was closed by a key.
    """

    chosen = Signal(str)
    rename_requested = Signal(str, str)
    delete_requested = Signal(str)
    more_wanted = Signal()
    left = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ConversationModel(self)
        self.model.renamed.connect(self.rename_requested)
        self.model.more_wanted.connect(self.more_wanted)
        self.view = QListView(self)
        self.view.setObjectName("conversations")
        self.view.setAccessibleName(tr("Conversations"))
        self.view.setModel(self.model)
        delegate = ConversationDelegate(self.view)
        self.view.setItemDelegate(delegate)
        delegate.closeEditor.connect(self._on_editor_closed)
        self.view.setFrameShape(QListView.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.DoubleClicked
        )
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self.view.selectionModel().currentChanged.connect(self._on_current_changed)
        self.view.installEventFilter(self)
        self.view.viewport().installEventFilter(self)
        self._empty = QLabel(tr("Your conversations will appear here."), self)
        self._empty.setProperty("kind", "faint")
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        self._empty.setContentsMargins(20, 24, 20, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self.view)
        self.view.hide()
        self._quiet = False
        self._by_keys = False
        minute = QTimer(self)
        minute.setInterval(60_000)
        minute.timeout.connect(self.view.viewport().update)
        minute.start()

    def show_conversations(self, rows: list[Conversation], total: int) -> None:
        """Show these, the newest of `total`."""
        if rows == self.model.conversations() and rows:
            return
        self._quiet = True
        self.model.replace(rows, total)
        self._quiet = False
        self._empty.setVisible(not rows)
        self.view.setVisible(bool(rows))

    def select(self, conversation_id: str | None) -> None:
        """Mark that conversation as the one on view, without asking for it."""
        self._quiet = True
        index = self.model.place(conversation_id) if conversation_id else QModelIndex()
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        if index.isValid():
            self.view.selectionModel().setCurrentIndex(index, flag)
            self.view.scrollTo(index)
        else:
            self.view.selectionModel().clear()
        self._quiet = False

    def selected(self) -> str | None:
        conversation = self.model.conversation(self.view.currentIndex())
        return conversation.id if conversation else None

    def is_walked(self) -> bool:
        """Whether the list has the keyboard, and is used with it."""
        return self._by_keys and self.view.hasFocus()

    def rename_selected(self) -> None:
        """Open the editor of the selected row."""
        if self.view.currentIndex().isValid():
            self._by_keys = self.is_walked()
            self.view.setFocus()
            self.view.edit(self.view.currentIndex())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress:
            self._by_keys = False
        elif isinstance(event, QFocusEvent) and event.gotFocus():
            self._by_keys = self._by_keys or event.reason() in _BY_KEYS
        elif event.type() == QEvent.Type.KeyPress and self.view.hasFocus():
            self._by_keys = True
        if watched is self.view and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            keys = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)
            chosen = self.selected()
            if event.key() in keys and chosen:
                self.delete_requested.emit(chosen)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and chosen:
                self.chosen.emit(chosen)
                if self.view.hasFocus():  # not where it ends the editing of a title
                    self._by_keys = False
                    self.left.emit()
                return True
        return super().eventFilter(watched, event)

    @Slot()
    def _on_editor_closed(self) -> None:
        if self.view.hasFocus():  # not where something else was clicked
            self.left.emit()

    @Slot(QModelIndex, QModelIndex)
    def _on_current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        conversation = self.model.conversation(current)
        if conversation and not self._quiet:
            self.chosen.emit(conversation.id)

    @Slot(QPoint)
    def _open_menu(self, point: QPoint) -> None:
        conversation = self.model.conversation(self.view.indexAt(point))
        if conversation is None:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        index = self.view.indexAt(point)
        menu.addAction(tr("Rename"), lambda: self.view.edit(index))
        menu.addAction(tr("Delete"), lambda: self.delete_requested.emit(conversation.id))
        menu.popup(self.view.viewport().mapToGlobal(point))
