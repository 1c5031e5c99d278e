"""The system's dialogs for choosing a folder or a model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QDir
from PySide6.QtWidgets import QFileDialog, QWidget

from hearth.i18n import tr

MODEL_SUFFIXES = (".gguf", ".ggml", ".bin")


def choose_model_file(parent: QWidget, title: str, on_chosen: Callable[[Path], None]) -> None:
    """Ask for a file; `on_chosen` is called with it, and not at all where the user cancels."""
    chooser = QFileDialog(parent, title)
    chooser.setFileMode(QFileDialog.FileMode.ExistingFile)
    patterns = " ".join(f"*{suffix}" for suffix in MODEL_SUFFIXES)
    kinds = ((tr("Model files"), patterns), (tr("All files"), "*"))
    chooser.setNameFilters([f"{name} ({pattern})" for name, pattern in kinds])
    _open(chooser, on_chosen)


def choose_folder(parent: QWidget, title: str, on_chosen: Callable[[Path], None]) -> None:
    """Ask for a folder; `on_chosen` is called with it, and not at all where the user cancels."""
    chooser = QFileDialog(parent, title)
    chooser.setFileMode(QFileDialog.FileMode.Directory)
    chooser.setOption(QFileDialog.Option.ShowDirsOnly)
    _open(chooser, on_chosen)


def _open(chooser: QFileDialog, on_chosen: Callable[[Path], None]) -> None:
    chooser.setDirectory(QDir.homePath())
    chooser.setLabelText(QFileDialog.DialogLabel.Accept, tr("Choose"))
    # Qt's own chooser, which stands in where the system has none, speaks little Chinese.
    chooser.setLabelText(QFileDialog.DialogLabel.LookIn, tr("Look in:"))
    chooser.setLabelText(QFileDialog.DialogLabel.FileType, tr("Files of type:"))
    chooser.fileSelected.connect(lambda path: on_chosen(Path(path)))
    chooser.finished.connect(chooser.deleteLater)
    chooser.open()
