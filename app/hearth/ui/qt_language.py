"""Qt's own texts and number formats in the language of Hearth."""

from __future__ import annotations

from typing import Final

from PySide6.QtCore import QLibraryInfo, QLocale, QTranslator
from PySide6.QtWidgets import QApplication

from hearth import i18n

# English texts are in Qt itself.
_CATALOGUES: Final = {"zh": "qtbase_zh_CN"}
_LOCALES: Final = {
    "en": QLocale(QLocale.Language.English, QLocale.Country.UnitedStates),
    "zh": QLocale(QLocale.Language.Chinese, QLocale.Country.China),
}


def use_qt_language(app: QApplication) -> None:
    """Show Qt's texts in the language in force from now on. Windows that are open keep theirs until rebuilt."""
    for old in app.findChildren(QTranslator):
        app.removeTranslator(old)
        old.deleteLater()
    wanted, system = _LOCALES[i18n.language()], QLocale.system()
    # Who speaks the language elsewhere writes numbers and dates as it is done there.
    QLocale.setDefault(system if system.language() == wanted.language() else wanted)
    catalogue = _CATALOGUES.get(i18n.language())
    if catalogue:
        translator = QTranslator(app)
        if translator.load(catalogue, QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
            app.installTranslator(translator)
