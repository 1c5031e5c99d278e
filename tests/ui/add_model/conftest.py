"""A window on an empty home, its wizard, and a hub that runs here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from adding import WizardHand, know_machine, repositories
from hearth.models.hub.patience import Patience
from hub_server import HubRepository, HubServer


@pytest.fixture(scope="module")
def on_the_hub(tmp_path_factory: pytest.TempPathFactory, stories_gguf: Path) -> dict[str, HubRepository]:
    return repositories(tmp_path_factory.mktemp("hub"), stories_gguf)


@pytest.fixture
def server(on_the_hub: dict[str, HubRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(on_the_hub) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in ("HEARTH_HUB_TOKEN", "HEARTH_OFFLINE", "HTTP_PROXY", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        patience = Patience(tries=2, first_seconds=0.01, longest_seconds=0.01)
        monkeypatch.setattr("hearth.models.hub.client.PATIENCE", patience)
        yield server


@pytest.fixture
def stopper(server: HubServer) -> Iterator[Event]:
    """The hub's files stop arriving in the middle until this is set."""
    event = Event()

    def hold(sent: int) -> None:
        if sent > 100_000:
            event.wait()

    server.on_sent = hold
    yield event
    event.set()


@pytest.fixture
def adding(server: HubServer, open_window: Callable[..., Any]) -> WizardHand:
    """A window on an empty home, and a hub."""
    know_machine()
    return WizardHand(open_window())
