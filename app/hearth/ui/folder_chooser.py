"""The system's dialog for choosing a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from hearth.i18n import tr


def choose_folder(parent: QWidget, title: str, on_chosen: Callable[[Path], None]) -> None:
    """Ask for a folder; `on_chosen` is called with it, and not at all where the user cancels."""
    chooser = QFileDialog(parent, title)
    chooser.setFileMode(QFileDialog.FileMode.Directory)
    chooser.setOption(QFileDialog.Option.ShowDirsOnly)
    chooser.setLabelText(QFileDialog.DialogLabel.Accept, tr("Choose"))
    chooser.fileSelected.connect(lambda path: on_chosen(Path(path)))
    chooser.finished.connect(chooser.deleteLater)
    chooser.open()
