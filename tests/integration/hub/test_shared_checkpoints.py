"""A checkpoint that several want is fetched once, and goes with the last of them unless somebody asked for it itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden_checkpoint import golden_checkpoint
from hearth.models.hub.checkpoints import Checkpoints
from hearth.services.downloads import Downloads
from hearth.services.install_events import InstallDone, InstallRemoved, InstallState
from hub_repositories import leftovers, pull, queue
from hub_server import HubServer
from installs_desk import ALL_STEPS, DOWNLOAD, QUANTIZE, RECIPE, REPOSITORY, Desk, fetched_bytes, stop_at


@pytest.mark.timeout(300)
def test_two_models_of_one_checkpoint_fetch_it_once_and_the_last_one_deletes_it(
    server: HubServer, desk: Desk
) -> None:
    first = desk.add()
    again: list[str] = []
    with server.holding():
        desk.installs.start()
        desk.wait_at(DOWNLOAD)
        second = desk.add(name="second", recipe="small")
        assert second.total == first.total
        stop_at(desk, QUANTIZE, lambda _install: again.append(desk.add().id))  # wanted once more, it goes on
    for install in (first.id, second.id):
        desk.wait(lambda event, install=install: isinstance(event, InstallDone) and event.id == install)
        assert (Checkpoints(desk.models.root).get(REPOSITORY) is None) == (install == second.id)
    assert again == [first.id]
    assert fetched_bytes(server) == first.total
    assert leftovers(desk.models) == ["second", "tiny"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("moment", ["queued", "made"])
def test_a_checkpoint_that_somebody_has_asked_for_itself_stays(
    server: HubServer, desk: Desk, moment: str
) -> None:
    added = desk.add()
    if moment == "queued":
        queue(Downloads(desk.models), REPOSITORY)  # as a command does
    else:
        stop_at(desk, QUANTIZE, lambda _install: pull(desk.models, REPOSITORY))
    desk.finish()
    desk.close()
    assert leftovers(desk.models) == [".checkpoints", "tiny"]
    assert fetched_bytes(server) == added.total


@pytest.mark.timeout(300)
def test_a_checkpoint_that_was_here_stays_and_is_not_fetched(
    server: HubServer, desk: Desk, tmp_path: Path
) -> None:
    pull(desk.models, REPOSITORY)
    server.asked.clear()
    added = desk.add()
    assert (added.steps, added.step) == (ALL_STEPS[1:], QUANTIZE)
    desk.installs.cancel(added.id)
    added = desk.installs.add_checkpoint("org/tiny-llama", "tiny", RECIPE)
    assert (added.repository, added.choice) == (REPOSITORY, REPOSITORY)
    source = golden_checkpoint("llama3", tmp_path)
    own = desk.installs.add_checkpoint(source, "own", RECIPE)
    assert (own.repository, own.choice, own.steps) == (str(source), "", ALL_STEPS[1:])
    assert desk.finish().entry.manifest.source == f"{server.endpoint}/{REPOSITORY}"
    desk.wait(lambda event: isinstance(event, InstallDone) and event.id == own.id)
    assert server.asked == []
    assert leftovers(desk.models) == [".checkpoints", "own", "tiny"]
    assert Checkpoints(desk.models.root).get(REPOSITORY) is not None
    assert (source / "model.safetensors").exists()


@pytest.mark.parametrize("runs", [False, True])
def test_a_download_that_somebody_has_asked_for_itself_outlives_a_cancelled_install(
    server: HubServer, desk: Desk, runs: bool
) -> None:
    download = queue(desk.downloads, REPOSITORY)
    desk.downloads.pause(download)
    install = desk.add().id
    with server.holding():
        if runs:
            desk.downloads.start()
            desk.wait_at(DOWNLOAD)
        desk.installs.cancel(install)
        (left,) = desk.installs.list()
        assert (left.id, left.name, left.steps) == (download, REPOSITORY, (DOWNLOAD,))
        assert left.state is (InstallState.RUNNING if runs else InstallState.QUEUED)
        told = desk.events[desk.events.index(InstallRemoved(install)) :]
        assert any(event.id == download for event in told)  # so a window shows what is left
        desk.close()
