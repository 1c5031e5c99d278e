"""When something was, in the words of a person."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QDate, QLocale, QTime

from hearth.i18n import ntr, tr


def relative_date(moment: datetime, now: datetime) -> str:
    """`moment` as seen from `now` (both with a time zone): “Now”, “5 min”, “14:03”, “Yesterday”, “Monday”, “12 Mar”."""
    local, today = moment.astimezone(), now.astimezone()
    minutes = int((today - local).total_seconds() // 60)
    days = (today.date() - local.date()).days
    locale = QLocale()
    date = QDate(local.year, local.month, local.day)
    if minutes < 1:
        return tr("Now")
    if minutes < 60:
        return ntr("{n} min", "{n} min", minutes)
    if days == 0:
        return locale.toString(QTime(local.hour, local.minute), QLocale.FormatType.ShortFormat)
    if days == 1:
        return tr("Yesterday")
    if days < 7:
        return locale.dayName(date.dayOfWeek(), QLocale.FormatType.LongFormat)
    return locale.toString(date, "d MMM" if local.year == today.year else "d MMM yyyy")
