"""Pictures of the first start, and of what stands beside the chat: settings, about, help."""

from __future__ import annotations

from camera import SIZE, Camera
from hearth.conversations.message import Role
from hearth.services.events import ModelState
from window_life import live, until


class FirstMinutes(Camera):
    """The first start, and what stands beside the chat."""

    def take_all(self) -> None:
        window = self.window
        until(lambda: window.hearth is not None and window.models.entries)
        welcome = window.welcome.widget
        self.take("welcome")
        window.resize(560, 420)
        self.take("welcome-small")
        window.resize(*SIZE)
        welcome.next.click()
        until(lambda: len(welcome.machine.values["memory"].text()) > 1)
        self.take("welcome-machine")
        window.resize(560, 420)
        self.take("welcome-machine-small")
        window.resize(*SIZE)
        welcome.next.click()
        until(lambda: window.models.status().state is ModelState.READY)
        self.take("starter")
        window.resize(560, 420)
        self.take("starter-small")
        window.resize(*SIZE)
        window.empty.suggestions[0].click()
        until(lambda: not window.session.is_busy() and window.session.last(Role.ASSISTANT) is not None)
        self.take("starter-answer")
        self._take_models()
        self._take_settings()
        self._take_about()
        self._take_help()
        self.close()

    def _take_models(self) -> None:
        self.window.actions_.manage_models.trigger()
        models = self.window.side_windows.models
        until(lambda: models.page.name)
        live(250)
        self.save("models-details", models.grab())
        models.page.tabs.setCurrentIndex(1)
        live(2000)
        self.save("models-settings", models.grab())
        models.show_others()
        until(lambda: models.controller.findings is not None)
        live(250)
        self.save("models-others", models.grab())
        models.close()

    def _take_settings(self) -> None:
        self.window.actions_.settings.trigger()
        settings = self.window.side_windows.settings
        for page in ("general", "defaults", "folders", "devices"):
            settings.show_page(page)
            live(250)
            self.take(f"settings-{page}", settings)
        settings.close()
        until(lambda: self.window.side_windows.settings is None)

    def _take_about(self) -> None:
        self.window.actions_.about.trigger()
        about = self.window.side_windows.about
        for place, name in enumerate(("about", "licences", "diagnostics")):
            about.tabs.setCurrentIndex(place)
            live(2000 if name == "diagnostics" else 250)
            self.take(name, about)
        about.close()

    def _take_help(self) -> None:
        window = self.window
        window.open_help("bigger-model")
        until(lambda: window.side_windows.help.page is not None)
        page = window.side_windows.help
        live(250)
        self.save("help", page.grab())
        page.search_field.setText("Ctrl+N")
        live(250)
        self.save("help-search", page.grab())
