"""Installs that a killed process has left go on in the next one; what another process works on is left alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest

from hearth.errors import DownloadBusy, InstallBusy
from hearth.models.hub.install_folder import InstallFolders, Wanted
from hearth.models.registry import ModelRegistry
from hearth.services.install_events import (
    InstallEvent,
    InstallRemoved,
    InstallState,
    InstallStatus,
    InstallStep,
)
from hub_repositories import leftovers, pull
from hub_server import HubRepository, HubServer
from installs_desk import CHECK, DOWNLOAD, QUANTIZE, REPORT, REPOSITORY, Desk, fetched_bytes

GOES_ON = """
import time
import hearth.models.hub.fetch as fetch
from hearth.services.hearth import Hearth
fetch.PIECE_BYTES = 4096
hearth = Hearth.open()
hearth.installs.start()
time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.timeout(300)
def test_killed_while_it_fetches_and_while_it_quantizes_it_goes_on(
    server: HubServer, models: ModelRegistry
) -> None:
    desk = Desk(models)
    install = desk.add().id
    whole = desk.at(install).total
    desk.close()
    with server.holding(whole // 2) as waits:
        kill_when(waits.is_set)
    stopped = Desk(models).at(install)
    assert (stopped.step, stopped.state) == (DOWNLOAD, InstallState.QUEUED)
    assert 0 < stopped.done < whole
    server.asked.clear()
    kill_when(lambda: models.work_folder("tiny").exists())
    assert fetched_bytes(server) == whole - stopped.done
    server.asked.clear()
    desk = Desk(models)
    while (
        stopped := desk.at(install)
    ).elsewhere:  # the process that quantizes ends a moment after its caller
        time.sleep(0.01)
    assert (stopped.step, stopped.state) == (QUANTIZE, InstallState.QUEUED)
    assert models.list() == []
    desk.finish()
    assert server.asked == []
    desk.close()
    assert leftovers(models) == ["tiny"]


def kill_when(reached: Callable[[], bool]) -> None:
    """Have another program go on with the installs, and kill it at that moment."""
    with subprocess.Popen([sys.executable, "-c", GOES_ON]) as program:
        while not reached():
            assert program.poll() is None
            time.sleep(0.001)
        program.send_signal(signal.SIGKILL)


@pytest.mark.timeout(300)
def test_killed_before_its_download_was_noted_it_waits_for_its_own_commit(
    server: HubServer, desk: Desk
) -> None:
    """An older commit of the repository is here, which must not be taken for what was chosen."""
    pull(desk.models, REPOSITORY)
    old = server.repositories[REPOSITORY]
    new = HubRepository(old.files | {"LICENSE": b"Another one."}, config=old.config)
    server.repositories[REPOSITORY] = new
    install = desk.add().id
    shutil.rmtree(desk.models.root / ".downloads")
    again = desk.restarted()
    waiting = again.at(install)
    assert (waiting.state, waiting.step, waiting.done) == (InstallState.QUEUED, DOWNLOAD, 0)
    again.installs.pause(install)
    again.installs.start()
    assert again.at(install).state is InstallState.PAUSED
    again.installs.resume(install)
    assert again.finish().entry.manifest.revision == new.commit
    again.close()


@pytest.mark.timeout(300)
def test_killed_when_only_its_note_was_left_it_ends_without_fetching_again(
    server: HubServer, desk: Desk
) -> None:
    install = desk.add().id
    folder = InstallFolders(desk.models.root / ".installs").of("tiny")
    note = folder.read()
    desk.finish()
    desk.close()
    folder.write(note)
    server.asked.clear()
    again = desk.restarted()
    assert again.finish().id == install
    again.close()
    assert server.asked == []
    assert leftovers(desk.models) == ["tiny"]


def test_a_cancelling_that_was_cut_short_is_finished_by_the_next_start(server: HubServer, desk: Desk) -> None:
    install = desk.add().id
    folder = InstallFolders(desk.models.root / ".installs").of("tiny")
    folder.write(msgspec.structs.replace(folder.read(), wanted=Wanted.REMOVED))
    again = desk.restarted()
    again.installs.start()
    again.wait(lambda event: event == InstallRemoved(install))
    assert leftovers(desk.models) == []
    again.close()


@pytest.mark.timeout(300)
def test_what_another_process_works_on_is_listed_and_left_alone(
    server: HubServer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("models.hub.note_folder", "quantize.work_folder"):
        monkeypatch.setattr(f"hearth.{module}._PATIENCE_SECONDS", 0)
    server.pace = 0.01
    other = Desk(desk.models)
    seen: dict[InstallStep, tuple[InstallStatus, type[Exception]]] = {}

    def look_on(event: InstallEvent) -> None:
        if (
            isinstance(event, InstallStatus)
            and event.state is InstallState.RUNNING
            and event.step not in seen
        ):
            (listed,) = other.installs.list()
            for act in (other.installs.pause, other.installs.cancel):
                with pytest.raises((InstallBusy, DownloadBusy)) as caught:
                    act(event.id)
            seen[event.step] = listed, caught.type

    desk.on_event = look_on
    desk.add()
    desk.finish()
    assert all(listed.elsewhere and listed.state is InstallState.RUNNING for listed, _ in seen.values())
    assert {step: error for step, (_, error) in seen.items()} == {
        DOWNLOAD: DownloadBusy,
        QUANTIZE: InstallBusy,
        REPORT: InstallBusy,
        CHECK: InstallBusy,
    }
    other.close()
    assert leftovers(desk.models) == ["tiny"]
