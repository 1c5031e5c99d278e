"""Installs with all that they tell, as a window keeps it, and the checkpoint that most of their tests install."""

from __future__ import annotations

from collections.abc import Callable
from threading import Condition
from typing import Any

from hearth.models.hub.choices import choose
from hearth.models.registry import ModelRegistry
from hearth.services.downloads import Downloads
from hearth.services.hub import look
from hearth.services.install_events import InstallDone, InstallEvent, InstallState, InstallStatus, InstallStep
from hearth.services.installs import Installs
from hub_server import HubServer

REPOSITORY = "org/Tiny-Llama"
DOWNLOAD, QUANTIZE, REPORT, CHECK = InstallStep
ALL_STEPS = (DOWNLOAD, QUANTIZE, REPORT, CHECK)
RECIPE = "int8"


class Desk:
    """Installs with all that they tell, as a window keeps it.

    Attributes:
        events: in order.
        on_event: called for each one, on its thread.
    """

    def __init__(self, models: ModelRegistry) -> None:
        self.models = models
        self.downloads = Downloads(models)
        self.installs = Installs(models, self.downloads)
        self.events: list[InstallEvent] = []
        self.on_event: Callable[[InstallEvent], None] = lambda _event: None
        self._news = Condition()
        self.installs.changes.subscribe(self._hear)

    def _hear(self, event: InstallEvent) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()
        self.on_event(event)

    def add(self, repository: str = REPOSITORY, name: str = "tiny", **more: Any) -> InstallStatus:
        offer = look(repository)
        more.setdefault("recipe", RECIPE)
        return self.installs.add(offer.repository, choose(repository, offer.choices), name=name, **more)

    def wait(self, fits: Callable[[InstallEvent], bool], since: int = 0) -> InstallEvent:
        """The first event that fits, among those told since then, or to come."""
        with self._news:
            while True:
                for event in self.events[since:]:
                    if fits(event):
                        return event
                since = len(self.events)
                assert self._news.wait(120), self.installs.list()

    def wait_at(self, step: InstallStep, state: InstallState = InstallState.RUNNING) -> None:
        self.wait(
            lambda event: isinstance(event, InstallStatus) and (event.step, event.state) == (step, state)
        )

    def wait_paused(self) -> None:
        self.wait(lambda event: isinstance(event, InstallStatus) and event.state is InstallState.PAUSED)

    def wait_done(self) -> InstallDone:
        done = self.wait(lambda event: isinstance(event, InstallDone))
        assert isinstance(done, InstallDone)
        return done

    def at(self, install: str) -> InstallStatus:
        return next(status for status in self.installs.list() if status.id == install)

    def close(self) -> None:
        self.installs.close()
        self.downloads.close()

    def restarted(self) -> Desk:
        """As a new start of the program finds it; nothing is begun yet."""
        self.close()
        return Desk(self.models)

    def finish_nothing(self) -> None:
        """Start, and wait until the thread has looked."""
        self.installs.start()
        self.close()

    def finish(self) -> InstallDone:
        self.installs.start()
        return self.wait_done()


def stop_at(desk: Desk, step: InstallStep, act: Callable[[str], None]) -> None:
    """Act as soon as the step runs."""

    def look_at(event: InstallEvent) -> None:
        if (
            isinstance(event, InstallStatus)
            and (event.step, event.state) == (step, InstallState.RUNNING)
            and (event.done or step is not DOWNLOAD)
        ):
            desk.on_event = lambda _event: None
            act(event.id)

    desk.on_event = look_at


def fetched_bytes(server: HubServer) -> int:
    return sum(asked.end - asked.start for asked in server.asked)
