"""The contents of the help: groups that open and close, and their pages."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPoint, QRect, Qt, Signal, Slot
from PySide6.QtGui import QFont, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from hearth.help import HelpLibrary
from hearth.i18n import tr
from hearth.ui.help.rows import paint_row
from hearth.ui.theme import FontSize, Space, font, icon

_ID = int(Qt.ItemDataRole.UserRole)


class _RowDelegate(QStyledItemDelegate):
    """Paints a row from edge to edge, with a chevron before a group; the style leaves a gap at the indentation."""

    def __init__(self, view: QTreeWidget) -> None:
        super().__init__(view)
        self._view = view

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        paint_row(painter, option.rect.adjusted(-option.rect.left(), 0, 0, 0), option)
        if not index.parent().isValid():
            name = "chevron-down" if self._view.isExpanded(index) else "chevron-right"
            place = QRect(0, 0, Space.M, Space.M)
            place.moveCenter(QPoint(option.rect.left() // 2, option.rect.center().y()))
            icon(name, size=Space.M).paint(painter, place)
        plain = QStyleOptionViewItem(option)
        plain.state = QStyle.StateFlag.State_Enabled
        super().paint(painter, plain, index)


class Contents(QTreeWidget):
    """The tree.

    Signals:
        chosen: the id of the page that the reader selected.
    """

    chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._quiet = False
        self._pages: dict[str, QTreeWidgetItem] = {}
        self.setObjectName("helpContents")
        self.setItemDelegate(_RowDelegate(self))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHeaderHidden(True)
        self.setIndentation(16)
        self.setUniformRowHeights(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setExpandsOnDoubleClick(False)  # one click does it
        self.currentItemChanged.connect(self._on_current)
        self.itemClicked.connect(self._on_clicked)

    def show_library(self, library: HelpLibrary) -> None:
        """Show the groups and pages of `library`."""
        self._quiet = True
        self.clear()
        self._pages = {}
        for group in library.groups:
            top = QTreeWidgetItem(self, [group.title])
            top.setFont(0, font(FontSize.BODY, weight=QFont.Weight.DemiBold))
            top.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            for page in group.pages:
                item = QTreeWidgetItem(top, [page.title])
                item.setData(0, _ID, page.id)
                item.setToolTip(0, page.title)
                self._pages[page.id] = item
        self.setAccessibleName(tr("Contents"))
        self._quiet = False

    def select(self, page_id: str) -> None:
        """Mark a page as the one on view, and open its group."""
        item = self._pages.get(page_id)
        if item is None or item is self.currentItem():
            return
        self._quiet = True
        self.setCurrentItem(item)
        self.scrollToItem(item)  # opens its group, too
        self._quiet = False

    def drawBranches(
        self, painter: QPainter, rect: QRect, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The rows draw what stands before them."""

    @Slot(QTreeWidgetItem, QTreeWidgetItem)
    def _on_current(self, current: QTreeWidgetItem | None, _previous: QTreeWidgetItem | None) -> None:
        page_id = current.data(0, _ID) if current else None
        if page_id and not self._quiet:
            self.chosen.emit(page_id)

    @Slot(QTreeWidgetItem)
    def _on_clicked(self, item: QTreeWidgetItem) -> None:
        if item.childCount():
            item.setExpanded(not item.isExpanded())
