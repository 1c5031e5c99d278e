"""What stops an install is told, over a restart too, and it can be tried again: gates, full disks, a killed quantizer."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest

from disks import enlarge, leave_no_room, small_disk
from hearth.errors import CheckpointMissing, DiskFull, QuantizeCrashed, QuantizeRoom, RepositoryGated
from hearth.models.registry import ModelRegistry
from hearth.services.install_events import InstallState
from hub_repositories import leftovers, pull
from hub_server import HubRepository, HubServer
from installs_desk import DOWNLOAD, QUANTIZE, RECIPE, REPOSITORY, Desk, stop_at


@pytest.mark.timeout(300)
def test_a_gated_repository_is_told_and_can_be_tried_again(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tokens["good"] = "somebody"
    files = server.repositories[REPOSITORY].files
    server.repositories[REPOSITORY] = HubRepository(
        files, config={"model_type": "llama"}, gated=True, accepted={"good"}
    )
    desk = Desk(models)
    install = desk.add().id
    desk.installs.start()
    desk.wait_at(DOWNLOAD, InstallState.FAILED)
    desk = desk.restarted()
    desk.installs.start()
    failed = desk.at(install)
    assert (failed.step, failed.state) == (DOWNLOAD, InstallState.FAILED)
    assert isinstance(failed.error, RepositoryGated)
    monkeypatch.setenv("HEARTH_HUB_TOKEN", "good")
    desk.installs.resume(install)
    desk.installs.start()
    desk.wait_at(QUANTIZE)
    desk.close()


def test_a_checkpoint_that_is_gone_leaves_an_install_that_says_so(server: HubServer, desk: Desk) -> None:
    pull(desk.models, REPOSITORY)
    install = desk.installs.add_checkpoint(REPOSITORY, "tiny", RECIPE).id
    shutil.rmtree(desk.models.root / ".checkpoints")
    stranded = desk.at(install)
    assert stranded.state is InstallState.FAILED
    assert isinstance(stranded.error, CheckpointMissing)
    with pytest.raises(CheckpointMissing):
        desk.installs.resume(install)
    assert desk.add().id == install
    assert desk.at(install).state is InstallState.QUEUED
    desk.installs.cancel(install)
    assert leftovers(desk.models) == []


@pytest.mark.timeout(300)
def test_a_disk_without_room_and_a_process_that_is_killed_are_told_and_can_be_tried_again(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.hub.fetch.SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        desk = Desk(ModelRegistry(disk))
        install = desk.add().id
        desk.installs.start()
        desk.wait_at(QUANTIZE, InstallState.FAILED)
        desk = desk.restarted()
        failed = desk.at(install)
        assert (failed.step, failed.state) == (QUANTIZE, InstallState.FAILED)
        assert isinstance(failed.error, QuantizeRoom)
        enlarge(disk, 1 << 30)
        asked = len(server.asked)
        stop_at(desk, QUANTIZE, lambda _install: Thread(target=kill_children, daemon=True).start())
        desk.installs.resume(install)
        desk.installs.start()
        desk.wait_at(QUANTIZE, InstallState.FAILED)
        assert isinstance(desk.at(install).error, QuantizeCrashed)
        desk.installs.resume(install)
        assert desk.finish().entry.name == "tiny"
        assert len(server.asked) == asked
        desk.close()
        assert leftovers(desk.models) == ["tiny"]


def kill_children() -> None:
    while not (children := psutil.Process().children()):
        time.sleep(0.001)
    for child in children:
        child.kill()


@pytest.mark.timeout(300)
def test_a_disk_that_fills_while_quantizing_is_told_over_a_restart_and_nothing_is_lost(
    server: HubServer, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 1 << 30) as disk:
        desk = Desk(ModelRegistry(disk))
        install = desk.add().id
        work = desk.models.work_folder("tiny") / "model"

        def fill() -> None:
            while not work.exists():
                time.sleep(0.001)
            leave_no_room(disk)

        stop_at(desk, QUANTIZE, lambda _install: Thread(target=fill, daemon=True).start())
        desk.installs.start()
        desk.wait_at(QUANTIZE, InstallState.FAILED)
        desk = desk.restarted()
        failed = desk.at(install)
        assert failed.state is InstallState.FAILED
        assert isinstance(failed.error, DiskFull)
        asked = len(server.asked)
        enlarge(disk, 1 << 30)
        desk.installs.resume(install)
        assert desk.finish().entry.manifest.quality is not None
        assert len(server.asked) == asked
        desk.close()
        assert leftovers(desk.models) == ["tiny"]


def test_what_is_on_its_way_is_cancelled_on_a_full_disk_too(server: HubServer, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 30) as disk:
        desk = Desk(ModelRegistry(disk))
        install = desk.add().id
        leave_no_room(disk)
        desk.installs.pause(install)
        assert desk.restarted().at(install).state is InstallState.PAUSED
        desk.installs.cancel(install)
        assert leftovers(desk.models) == []
