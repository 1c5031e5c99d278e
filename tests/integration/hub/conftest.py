"""A hub that runs here, a models folder, and what fetches and installs from the one into the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from golden_checkpoint import golden_checkpoint
from hearth.models.hub.patience import Patience
from hearth.models.registry import ModelRegistry
from hub_repositories import PIECE, small_repositories
from hub_server import HubRepository, HubServer
from installs_desk import REPOSITORY, Desk


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HubRepository]:
    """The small ones, and a real checkpoint."""
    folder = tmp_path_factory.mktemp("hub")
    source = golden_checkpoint("llama3", folder)
    files = {file.name: file.read_bytes() for file in source.iterdir()}
    return small_repositories(folder / "model") | {
        REPOSITORY: HubRepository(files, config={"model_type": "llama"})
    }


@pytest.fixture
def server(repositories: dict[str, HubRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in (
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "HEARTH_OFFLINE",
            "HEARTH_HUB_TOKEN",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("hearth.models.hub.fetch.PIECE_BYTES", PIECE)
        monkeypatch.setattr(
            "hearth.models.hub.client.PATIENCE", Patience(first_seconds=0.001, longest_seconds=0.01)
        )
        yield server


@pytest.fixture
def models(hearth_home: Path) -> ModelRegistry:
    return ModelRegistry(hearth_home / "models")


@pytest.fixture
def desk(models: ModelRegistry) -> Iterator[Desk]:
    desk = Desk(models)
    yield desk
    desk.close()
