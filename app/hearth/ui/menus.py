"""The window's menus: everything that it can do, with its shortcut."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu, QMenuBar

from hearth.i18n import tr


@dataclass(frozen=True, slots=True)
class Actions:
    """The window's actions; whoever owns the work connects `triggered`."""

    new_chat: QAction
    add_model: QAction
    import_model: QAction
    settings: QAction
    quit: QAction
    undo_delete: QAction
    copy: QAction
    edit_last: QAction
    toggle_sidebar: QAction
    toggle_panel: QAction
    zoom_in: QAction
    zoom_out: QAction
    zoom_reset: QAction
    full_screen: QAction
    choose_model: QAction
    manage_models: QAction
    stop: QAction
    regenerate: QAction
    rename: QAction
    delete: QAction
    help: QAction
    welcome: QAction
    open_log: QAction
    about: QAction

    def of_work(self) -> tuple[QAction, ...]:
        """Those that work on conversations and models, so not while something else than these is on view."""
        return (
            self.new_chat,
            self.add_model,
            self.import_model,
            self.undo_delete,
            self.edit_last,
            self.choose_model,
            self.manage_models,
            self.stop,
            self.regenerate,
            self.rename,
            self.delete,
        )


def build_menus(window: QMainWindow) -> Actions:
    """Make the menus of `window` anew; on macOS Qt moves Quit, Settings and About where they belong there."""
    bar = QMenuBar(window)
    window.setMenuBar(bar)
    key = QKeySequence.StandardKey

    file = bar.addMenu(tr("&File"))
    new_chat = _add(file, tr("&New Chat"), QKeySequence(key.New))
    file.addSeparator()
    add_model = _add(file, tr("&Add a Model…"), "Ctrl+Shift+A")
    import_model = _add(file, tr("&Import Model Folder…"), "Ctrl+O")
    file.addSeparator()
    settings = _add(file, tr("&Settings…"), "Ctrl+,")
    settings.setMenuRole(QAction.MenuRole.PreferencesRole)
    file.addSeparator()
    quit_ = _add(
        file, tr("&Quit"), QKeySequence(key.Quit) if QKeySequence.keyBindings(key.Quit) else "Ctrl+Q"
    )
    quit_.setMenuRole(QAction.MenuRole.QuitRole)
    quit_.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)  # in the windows beside it too

    edit = bar.addMenu(tr("&Edit"))
    undo_delete = _add(edit, tr("&Undo Delete"), QKeySequence(key.Undo))
    edit.addSeparator()
    copy = _add(edit, tr("&Copy"), QKeySequence(key.Copy))
    edit_last = _add(edit, tr("&Edit Last Question"), "Ctrl+E")

    view = bar.addMenu(tr("&View"))
    toggle_sidebar = _add(view, tr("&Conversations"), "Ctrl+Shift+S", checkable=True)
    toggle_panel = _add(view, tr("&Parameters"), "Ctrl+Shift+P", checkable=True)
    view.addSeparator()
    zoom_in = _add(view, tr("Zoom &In"), "Ctrl++", "Ctrl+=")
    zoom_out = _add(view, tr("Zoom &Out"), "Ctrl+-")
    zoom_reset = _add(view, tr("&Actual Size"), "Ctrl+0")
    view.addSeparator()
    full = QKeySequence.keyBindings(key.FullScreen)
    full_screen = _add(view, tr("&Full Screen"), full[0] if full else "F11", checkable=True)

    chat = bar.addMenu(tr("&Chat"))
    choose_model = _add(chat, tr("Choose &Model…"), "Ctrl+M")
    manage_models = _add(chat, tr("M&anage Models…"), "Ctrl+Shift+M")
    chat.addSeparator()
    stop = _add(chat, tr("&Stop"), "Esc")
    regenerate = _add(chat, tr("&Regenerate"), "Ctrl+R")
    chat.addSeparator()
    rename = _add(chat, tr("Re&name Conversation"), "F2")
    delete = _add(chat, tr("&Delete Conversation"), "Ctrl+Shift+Backspace")

    help_ = bar.addMenu(tr("&Help"))
    help_page = _add(help_, tr("Hearth &Help"), "F1")
    welcome = _add(help_, tr("&Welcome to Hearth…"))
    help_.addSeparator()
    open_log = _add(help_, tr("Open &Log Folder"))
    help_.addSeparator()
    about = _add(help_, tr("&About Hearth"))
    about.setMenuRole(QAction.MenuRole.AboutRole)
    return Actions(
        new_chat=new_chat,
        add_model=add_model,
        import_model=import_model,
        settings=settings,
        quit=quit_,
        undo_delete=undo_delete,
        copy=copy,
        edit_last=edit_last,
        toggle_sidebar=toggle_sidebar,
        toggle_panel=toggle_panel,
        zoom_in=zoom_in,
        zoom_out=zoom_out,
        zoom_reset=zoom_reset,
        full_screen=full_screen,
        choose_model=choose_model,
        manage_models=manage_models,
        stop=stop,
        regenerate=regenerate,
        rename=rename,
        delete=delete,
        help=help_page,
        welcome=welcome,
        open_log=open_log,
        about=about,
    )


def _add(menu: QMenu, text: str, *shortcuts: QKeySequence | str, checkable: bool = False) -> QAction:
    action = menu.addAction(text)
    action.setShortcuts([QKeySequence(shortcut) for shortcut in shortcuts])
    action.setCheckable(checkable)
    return action
