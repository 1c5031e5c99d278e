"""Pictures of the window in its main states, light and dark: `make screenshots` writes them to screenshots/.

Each is taken from the real window on real services, in both languages, at the scale that QT_SCALE_FACTOR gives.
`ARGS="folder wizard"` takes some groups alone: first, main, wizard, models, problem. HEARTH_SCREENSHOT_MODES is
"light dark", or one of them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication

from chat import ChatCamera
from first_minutes import FirstMinutes
from hearth import i18n
from hearth.ui import theme
from hearth.ui.qt_language import use_qt_language
from homes import home, hub, starter, without_starter
from models_window import ModelsCamera
from wizard import WizardCamera


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[3] / "screenshots"
    groups = sys.argv[2:] or ["first", "main", "wizard", "models", "problem"]
    folder.mkdir(parents=True, exist_ok=True)
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    app = QApplication(sys.argv[:1])
    app.setQuitOnLastWindowClosed(False)
    for mode in os.environ.get("HEARTH_SCREENSHOT_MODES", "light dark").split():
        theme.theme().apply(mode)
        for language in i18n.LANGUAGES:
            speak(app, language)
            if "first" in groups:
                with starter(), home():
                    FirstMinutes(folder, mode).take_all()
            with without_starter():
                if "main" in groups:
                    with home():
                        ChatCamera(folder, mode).take_all()
                if "wizard" in groups:
                    with home(), hub() as server:
                        WizardCamera(folder, mode).take_all(server)
                if "models" in groups:
                    with home():
                        ModelsCamera(folder, mode).take_all()
        speak(app, "en")
        if "problem" in groups:
            with tempfile.NamedTemporaryFile() as file:
                os.environ["HEARTH_HOME"] = file.name
                ChatCamera(folder, mode).take_problem()
    return 0


def speak(app: QApplication, language: str) -> None:
    os.environ["LANG"] = os.environ["LC_ALL"] = f"{language}.UTF-8"
    i18n.use_language(language)
    use_qt_language(app)


if __name__ == "__main__":
    sys.exit(main())
