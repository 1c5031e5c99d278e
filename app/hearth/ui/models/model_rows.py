"""The rows of the list of models: what each shows, in which order, and how it is painted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QLineEdit, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from hearth.i18n import tr
from hearth.services.events import ModelState, ModelStatus
from hearth.services.model_overview import ModelOverview
from hearth.ui.help.rows import paint_row
from hearth.ui.model_picker import state_icon, state_text
from hearth.ui.models.facts import format_text, last_used_text, size_of
from hearth.ui.plain_tip import plain_tip
from hearth.ui.theme import colour

_Index = QModelIndex | QPersistentModelIndex
_ROW_HEIGHT = 2.9  # of the font's line height: one line for the name, one for the rest, and air
_SIDE = 10
_SMALL = 0.86
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Order(StrEnum):
    """What the list is sorted by; sizes and dates from the greatest on."""

    NAME = "name"
    SIZE = "size"
    LAST_USED = "last_used"

    def key(self) -> Callable[[ModelOverview], Any]:
        match self:
            case Order.NAME:
                return lambda model: model.name
            case Order.SIZE:
                return lambda model: (-model.bytes, model.name)
            case Order.LAST_USED:
                now = datetime.now(UTC)
                return lambda model: (now - (model.last_used or _LONG_AGO), model.name)


def matches(model: ModelOverview, words: str) -> bool:
    """Whether each of the words is in what names or describes the model."""
    described = (model.name, *model.aliases, format_text(model.format), model.architecture, model.source)
    text = " ".join((*described, model.app, model.quantization)).lower()
    return all(word in text for word in words.lower().split())


class ModelRows(QAbstractListModel):
    """The models on view.

    Signals:
        renamed: a model, and what somebody typed for its new name.
    """

    ROLE = int(Qt.ItemDataRole.UserRole)
    renamed = Signal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[ModelOverview] = []
        self._statuses: dict[str, ModelStatus] = {}

    def replace(self, rows: list[ModelOverview]) -> None:
        """Show these; rows that stay keep their selection, and an editor that is open."""
        persistent = self.persistentIndexList()
        names = [self._rows[index.row()].name for index in persistent if index.row() < len(self._rows)]
        self.layoutAboutToBeChanged.emit()
        self._rows = rows
        places = {row.name: place for place, row in enumerate(rows)}
        for index, name in zip(persistent, names, strict=False):
            place = places.get(name)
            self.changePersistentIndex(index, QModelIndex() if place is None else self.index(place))
        self.layoutChanged.emit()

    def set_status(self, status: ModelStatus) -> None:
        self._statuses[status.name] = status
        place = self.place(status.name)
        if place.isValid():
            self.dataChanged.emit(place, place)

    def status(self, name: str) -> ModelStatus:
        return self._statuses.get(name, ModelStatus(name, ModelState.UNLOADED))

    def place(self, name: str) -> QModelIndex:
        """The row of that model; invalid where there is none."""
        names = [row.name for row in self._rows]
        return self.index(names.index(name)) if name in names else QModelIndex()

    def model_at(self, index: _Index) -> ModelOverview | None:
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def names(self) -> list[str]:
        """From the top."""
        return [row.name for row in self._rows]

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        model = self.model_at(index)
        if model is None:
            return None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return model.name
        if role in (Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            format_ = format_text(model.format)
            status = state_text(self.status(model.name))
            text = ", ".join((model.name, format_, self.details(model), status))
            return plain_tip(text) if role == Qt.ItemDataRole.ToolTipRole else text
        return model if role == self.ROLE else None

    def details(self, model: ModelOverview) -> str:
        """The second line of a row."""
        parts = [size_of(model)]
        if model.built_in:
            parts.append(tr("part of Hearth"))
        if model.problem:
            parts.append(tr("damaged"))
        elif model.last_used is not None:
            parts.append(last_used_text(model.last_used))
        return " · ".join(parts)

    def setData(self, index: _Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        model = self.model_at(index)
        typed = str(value).strip()
        if model is None or role != Qt.ItemDataRole.EditRole or not typed or typed == model.name:
            return False
        self.renamed.emit(model.name, typed)
        return False  # it has its new name once the files have

    def flags(self, index: _Index) -> Qt.ItemFlag:
        model = self.model_at(index)
        flags = super().flags(index)
        may = model is not None and not model.built_in and not model.is_answering
        return flags | Qt.ItemFlag.ItemIsEditable if may else flags


class RowDelegate(QStyledItemDelegate):
    """Paints one model: its state, its name and format, and below them its size and when it was last used."""

    def __init__(self, rows: ModelRows, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = rows

    def sizeHint(self, option: QStyleOptionViewItem, index: _Index) -> QSize:
        return QSize(120, round(option.fontMetrics.height() * _ROW_HEIGHT))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        model = index.data(ModelRows.ROLE)
        if not isinstance(model, ModelOverview):
            return
        row: QRect = option.rect.adjusted(8, 1, -8, -1)
        paint_row(painter, row, option)
        line = option.fontMetrics.height()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = row.center().y() - line
        dot = round(line * 1.1)
        icon = state_icon(self._rows.status(model.name).state, colour("text_faint"))
        icon.paint(painter, QRect(row.left() + _SIDE - 4, top + (line - dot) // 2, dot, dot))
        left = row.left() + _SIDE + dot
        right = row.right() - _SIDE
        small = _scaled(option.font, _SMALL)
        right = self._paint_badge(painter, model, small, QRect(left, top, right - left, line)) - _SIDE // 2
        bold = _scaled(option.font, 1.0)
        bold.setWeight(QFont.Weight.Medium)
        _write(painter, bold, "text", QRect(left, top, right - left, line), model.name)
        below = QRect(left, top + line + 1, row.right() - _SIDE - left, line)
        _write(
            painter, small, "danger" if model.problem else "text_secondary", below, self._rows.details(model)
        )
        painter.restore()

    def _paint_badge(self, painter: QPainter, model: ModelOverview, font: QFont, place: QRect) -> int:
        """The format at the right end of `place`; gives where it begins."""
        text = format_text(model.format)
        metrics = QFontMetrics(font)
        width = metrics.horizontalAdvance(text) + 12
        height = metrics.size(0, text).height() + 2  # Chinese letters are higher
        badge = QRect(place.right() - width, place.center().y() - height // 2, width, height)
        name = "link" if model.remote else "text_secondary"
        painter.setPen(colour("link" if model.remote else "scroll"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(badge, 5, 5)
        painter.setFont(font)
        painter.setPen(colour(name))
        painter.drawText(badge, Qt.AlignmentFlag.AlignCenter, text)
        return badge.left()

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: _Index) -> QWidget:
        editor = QLineEdit(parent)
        editor.setObjectName("renameField")
        editor.setAccessibleName(tr("New name of the model"))
        editor.setMaxLength(64)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: _Index) -> None:
        rect: QRect = option.rect.adjusted(12, 0, -12, 0)
        height = editor.sizeHint().height()
        editor.setGeometry(QRect(rect.left(), rect.center().y() - height // 2, rect.width(), height))


def _write(painter: QPainter, font: QFont, name: str, place: QRect, text: str) -> None:
    painter.setFont(font)
    painter.setPen(colour(name))
    shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignVCenter, shown)


def _scaled(font: QFont, size: float) -> QFont:
    made = QFont(font)
    if font.pointSizeF() > 0:
        made.setPointSizeF(font.pointSizeF() * size)
    else:
        made.setPixelSize(round(font.pixelSize() * size))
    return made
