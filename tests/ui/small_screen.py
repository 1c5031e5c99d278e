"""Opens every window on the screen that there is, and says how large each must be at least: one line each.

Run by `test_small_screen.py` in a process of its own, since a screen cannot be changed.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PySide6.QtWidgets import QApplication, QLabel, QWidget

from hearth.services.hearth import Hearth
from hearth.ui import theme
from hearth.ui.main_window import MainWindow
from hearth.ui.models.server_dialog import ServerDialog
from hearth.ui.worker_thread import qt_thread
from window_life import live, until


def main() -> None:
    app = QApplication(sys.argv)
    theme.theme().apply("light")
    window = MainWindow(lambda: Hearth.open(thread_factory=qt_thread))
    window.show()
    window.start()
    until(lambda: window.hearth is not None and window.models.entries is not None)
    say("welcome", window)
    window.welcome.widget.finished.emit()
    say("main", window)
    window.actions_.toggle_panel.setChecked(True)
    say("parameters", window)
    window.actions_.toggle_sidebar.setChecked(True)
    say("conversations", window)
    window.actions_.add_model.trigger()
    say("wizard", window.add_model.wizard)
    window.actions_.manage_models.trigger()
    models = window.side_windows.models
    say("models", models)
    models.add_server()
    say("server", models.dialog)
    fail_to_reach_a_server(models.dialog)
    models.dialog.close()
    window.open_help("bigger-model")
    say("help", window.side_windows.help)
    window.actions_.settings.trigger()
    say("settings", window.side_windows.settings)
    window.side_windows.settings.close()
    window.actions_.about.trigger()
    say("about", window.side_windows.about)
    window.side_windows.about.close()
    window.models.import_folder(Path(sys.argv[1]))
    until(lambda: window.models.dialog is not None and window.models.dialog.import_button.isEnabled())
    say("import", window.models.dialog)
    window.models.dialog.reject()
    window.close()
    until(window.is_closed)
    app.quit()


def say(name: str, window: QWidget) -> None:
    """Its size, as it opens and as it is when it is made as small as it can be."""
    live(200)
    opened = window.size()
    window.resize(1, 1)
    live(50)
    sys.stdout.write(f"{name} {opened.width()} {opened.height()} {window.width()} {window.height()}\n")


def fail_to_reach_a_server(dialog: ServerDialog) -> None:
    """What the dialog says then must come into view. Raises TimeoutError."""
    dialog.address.setText("http://127.0.0.1:9/v1")
    dialog.look()
    until(dialog.error, seconds=30)
    (said,) = (label for label in dialog.findChildren(QLabel) if label.text() == dialog.error())
    until(lambda: not said.visibleRegion().isEmpty(), seconds=5)


if __name__ == "__main__":
    main()
