"""The list of models to choose from: title and verdict, what each is good at, and its figures."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from hearth.i18n import tr
from hearth.models.catalogue import CatalogueEntry
from hearth.ui.add_model.listed_model import VERDICT_COLOURS, VERDICT_ICONS, ListedModel
from hearth.ui.theme import FontSize, Space, colour, icon, theme

_ROW = int(Qt.ItemDataRole.UserRole)
_STATE = QStyle.StateFlag
_WRAP = int(Qt.TextFlag.TextWordWrap)
_BESIDE = int(Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)
_LEAST_LINES = 6  # about one row, where its texts wrap


class _Layout:
    """Where the parts of a row lie in a rectangle of that width, from its top left corner."""

    def __init__(self, row: ListedModel, font: QFont, width: int) -> None:
        self.title_font, self.small = QFont(font), QFont(font)
        self.title_font.setWeight(QFont.Weight.DemiBold)
        self.small.setPointSizeF(font.pointSizeF() * FontSize.SMALL)
        title, small, plain = (QFontMetrics(each) for each in (self.title_font, self.small, font))
        inner = width - 2 * Space.M
        line = max(title.height(), Space.ICON)
        top = Space.M
        verdict = small.horizontalAdvance(row.verdict) + Space.ICON + Space.XS if row.verdict else 0
        self.verdict = QRect(Space.M + inner - verdict, top, verdict, line)
        badge = small.horizontalAdvance(row.badge) + 2 * Space.S if row.badge else 0
        beside = inner - verdict - Space.M
        wanted = title.horizontalAdvance(row.title)
        below = bool(badge) and wanted + Space.S + badge > beside  # the badge has a line of its own
        self.title = QRect(Space.M, top, min(wanted + 1, beside if below else max(0, beside - badge)), line)
        height = small.height() + 2
        if below:
            top += line + Space.XS
            self.badge = QRect(Space.M, top, badge, height)
            line = height
        else:
            self.badge = QRect(self.title.right() + Space.S, top + (line - height) // 2, badge, height)
        top += line + Space.XS
        about = plain.boundingRect(QRect(0, 0, inner, 10_000), _WRAP, row.about).height()
        self.about = QRect(Space.M, top, inner, about)
        top += about + Space.XS
        facts = small.boundingRect(QRect(0, 0, inner, 10_000), _WRAP, row.facts).height()
        self.facts = QRect(Space.M, top, inner, facts)
        self.height = top + facts + Space.M


class _RowDelegate(QStyledItemDelegate):
    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        row: ListedModel = index.data(_ROW)
        rect: QRect = option.rect.adjusted(0, 1, 0, -1)
        lay = _Layout(row, option.font, rect.width())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_back(painter, rect, option)
        painter.translate(rect.topLeft())
        painter.setFont(lay.title_font)
        painter.setPen(colour("text"))
        title = QFontMetrics(lay.title_font).elidedText(
            row.title, Qt.TextElideMode.ElideMiddle, lay.title.width()
        )
        painter.drawText(lay.title, _BESIDE, title)
        painter.setFont(lay.small)
        if row.badge:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour("selection"))
            painter.drawRoundedRect(lay.badge, lay.badge.height() / 2, lay.badge.height() / 2)
            painter.setPen(colour("text"))
            painter.drawText(lay.badge, int(Qt.AlignmentFlag.AlignCenter), row.badge)
        if row.fit is not None:
            shade = VERDICT_COLOURS[row.fit]
            place = QRect(lay.verdict.topLeft(), QSize(Space.ICON, lay.verdict.height()))
            icon(VERDICT_ICONS[row.fit], shade).paint(painter, place)
            painter.setPen(colour("text_secondary" if shade == "text_faint" else shade))
            painter.drawText(lay.verdict.adjusted(Space.ICON + Space.XS, 0, 0, 0), _BESIDE, row.verdict)
        painter.setFont(option.font)
        painter.setPen(colour("text_secondary"))
        painter.drawText(lay.about, _WRAP, row.about)
        painter.setFont(lay.small)
        painter.setPen(colour("text_secondary"))
        painter.drawText(lay.facts, _WRAP, row.facts)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        view = self.parent()
        width = option.rect.width()
        if isinstance(view, QAbstractItemView):  # with or without its scroll bar, rows are as high
            width = view.width() - view.verticalScrollBar().sizeHint().width()
        return QSize(100, _Layout(index.data(_ROW), option.font, width).height + 2)

    def _paint_back(self, painter: QPainter, rect: QRect, option: QStyleOptionViewItem) -> None:
        state: QStyle.StateFlag = option.state
        chosen = bool(state & _STATE.State_Selected)
        if chosen or state & _STATE.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour("selected" if chosen else "hover"))
            painter.drawRoundedRect(rect, Space.RADIUS, Space.RADIUS)
        if chosen and state & _STATE.State_HasFocus:
            painter.setPen(colour("accent"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            inside = QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.drawRoundedRect(inside, Space.RADIUS, Space.RADIUS)


class ModelList(QListWidget):
    """One row is always chosen where there is any.

    Signals:
        chosen: another row is the chosen one.
        activated_row: the chosen row was pressed twice, or Enter was pressed on it.
    """

    chosen = Signal()
    activated_row = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("addModelList")
        self.setAccessibleName(tr("Models"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setItemDelegate(_RowDelegate(self))
        self.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.currentRowChanged.connect(lambda _row: self.chosen.emit())
        self.itemDoubleClicked.connect(lambda _item: self.activated_row.emit())
        theme().changed.connect(self._repaint)

    def show_rows(self, rows: Sequence[ListedModel], chosen: CatalogueEntry | str | None) -> None:
        """Fill the list anew; the row with the source `chosen` is the chosen one, else the first."""
        self.blockSignals(True)
        self.clear()
        for row in rows:
            item = QListWidgetItem(self)
            item.setData(_ROW, row)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, row.spoken)
        places = [place for place, row in enumerate(rows) if row.source is chosen or row.source == chosen]
        self.setCurrentRow(places[0] if places else 0)
        self.blockSignals(False)
        self.scrollToItem(self.currentItem())
        self.chosen.emit()

    def rows(self) -> list[ListedModel]:
        """The rows on view, from the top."""
        return [self.item(place).data(_ROW) for place in range(self.count())]

    def row_chosen(self) -> ListedModel | None:
        """The chosen row; None where there is none."""
        found: ListedModel | None = self.currentIndex().data(_ROW)
        return found

    def minimumSizeHint(self) -> QSize:
        """Room for a row; where the page has less, the page scrolls."""
        return QSize(super().minimumSizeHint().width(), _LEAST_LINES * self.fontMetrics().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    @Slot()
    def _repaint(self) -> None:
        self.viewport().update()
