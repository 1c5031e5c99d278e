"""Damaged notes of installs, and notes that are not Hearth's: told, restored, or cancelled with what is theirs alone."""

from __future__ import annotations

import itertools
import logging
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hearth.errors import InstallDamaged
from hearth.model_folder.manifest import Manifest
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.download_job import Failure
from hearth.models.hub.install_folder import InstallFolder, InstallFolders, Wanted
from hearth.services.install_events import InstallEvent, InstallRemoved, InstallState, InstallStatus
from hub_repositories import CHECKPOINT, GENAI, leftovers, pull, queue
from hub_server import HubRepository, HubServer
from installs_desk import DOWNLOAD, RECIPE, REPOSITORY, Desk


def damage(desk: Desk, kind: str, name: str = "*", *, copy: bool = False) -> None:
    """Nobody can read the note of its install or download any more."""
    (folder,) = (desk.models.root / f".{kind}s").glob(name)
    (folder / f"{kind}.json").write_bytes(b"{")
    if copy:
        (folder / f"{kind}.copy.json").unlink()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"name": "../tiny"},
        {"repository": "../../x"},
        {"repository": "", "source": "relative"},
        {"added_at": "2026-01-01T00:00:00"},
        {"done": 2, "total": 1},
        {"wanted": "everything"},
        {"failure": {"code": 1}},
    ],
)
def test_a_note_that_somebody_else_has_put_here_is_told_and_left_alone(
    server: HubServer, desk: Desk, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The models folder may come from another machine, and nothing is made or deleted because of it."""
    folder = desk.models.root / ".installs" / "tiny"
    note = {"name": "tiny", "recipe": RECIPE, "source": "/x", "repository": REPOSITORY} | {
        "added_at": "2026-01-01T00:00:00Z",
    }
    folder.mkdir(parents=True)
    (folder / "install.json").write_bytes(msgspec.json.encode(note))
    assert [status.name for status in desk.installs.list()] == [
        "tiny"
    ]  # so it is the change that makes it bad
    bad = msgspec.json.encode(note | changes)
    (folder / "install.json").write_bytes(bad)
    with caplog.at_level(logging.WARNING):
        (told,) = desk.installs.list()
        assert isinstance(told.error, InstallDamaged)
        desk.finish_nothing()
    assert [record.name for record in caplog.records] == ["hearth.models.hub.install_folder"]
    assert (folder / "install.json").read_bytes() == bad
    assert server.requests == []
    (event,) = desk.events
    assert isinstance(event, InstallStatus)
    assert isinstance(event.error, InstallDamaged)


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
def test_a_pipe_in_place_of_a_note_is_not_waited_for(desk: Desk) -> None:
    (desk.models.root / ".installs" / "tiny").mkdir(parents=True)
    os.mkfifo(desk.models.root / ".installs" / "tiny" / "install.json")
    (told,) = desk.installs.list()
    assert isinstance(told.error, InstallDamaged)
    desk.installs.cancel(told.id)
    assert leftovers(desk.models) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["install", "download"])
def test_a_damaged_note_is_told_and_restored_by_trying_again(
    server: HubServer, desk: Desk, kind: str
) -> None:
    install = desk.add().id
    damage(desk, kind)
    again = desk.restarted()
    again.installs.start()
    failed = again.wait(lambda event: isinstance(event, InstallStatus) and event.id == install)
    assert isinstance(failed, InstallStatus)
    assert failed.state is again.at(install).state is InstallState.FAILED
    assert isinstance(failed.error, InstallDamaged)
    again.installs.resume(install)
    again.finish()
    again.close()
    assert leftovers(desk.models) == ["tiny"]


@pytest.mark.parametrize("kind", ["install", "download"])
def test_a_damaged_note_without_a_copy_can_only_be_cancelled(
    server: HubServer, desk: Desk, kind: str
) -> None:
    install = desk.add().id
    damage(desk, kind, copy=True)
    with pytest.raises(InstallDamaged):
        desk.installs.resume(install)
    assert desk.at(install).state is InstallState.FAILED
    desk.installs.cancel(install)
    assert leftovers(desk.models) == []


def test_a_damaged_install_with_a_copy_takes_along_what_is_its_own(server: HubServer, desk: Desk) -> None:
    install = desk.add().id
    desk.add(CHECKPOINT, name="other")
    damage(desk, "install", "tiny")
    desk.installs.cancel(install)
    assert [status.name for status in desk.installs.list()] == ["other"]
    assert [status.repository for status in desk.downloads.list()] == [CHECKPOINT]


def test_of_two_damaged_installs_the_last_one_takes_along_what_nobody_else_wants(
    server: HubServer, desk: Desk
) -> None:
    first, last = desk.add(CHECKPOINT, name="other").id, desk.add().id
    desk.add(GENAI, name="small")
    for name in ("other", "tiny"):
        damage(desk, "install", name, copy=True)
    listed = [status.name for status in desk.installs.list()]
    # Nobody knows whose downloads they are.
    assert listed == ["other", "tiny", CHECKPOINT, REPOSITORY, "small"]
    desk.installs.cancel(first)
    assert [status.name for status in desk.installs.list()] == listed[1:]
    desk.installs.cancel(last)
    assert [status.name for status in desk.installs.list()] == ["small"]


@pytest.mark.parametrize("wanted_by", ["an install", "somebody"])
def test_a_damaged_install_takes_nothing_along_that_others_want(
    server: HubServer, desk: Desk, wanted_by: str
) -> None:
    install = desk.add().id
    if wanted_by == "somebody":
        queue(desk.downloads, REPOSITORY)
    else:
        desk.add(name="second")
    damage(desk, "install", "tiny", copy=True)
    desk.installs.cancel(install)
    (left,) = desk.installs.list()
    assert (left.name, left.step) == ("second" if wanted_by == "an install" else REPOSITORY, DOWNLOAD)


@pytest.mark.parametrize("wanted_by", ["nobody", "an install", "somebody", "somebody's download"])
def test_a_damaged_install_takes_its_checkpoint_along_unless_others_want_it(
    server: HubServer, desk: Desk, wanted_by: str
) -> None:
    install = desk.add().id
    (download,) = desk.downloads.list()
    desk.downloads.run(download.id)
    if wanted_by == "an install":
        desk.add(name="second")
    elif wanted_by == "somebody":
        pull(desk.models, REPOSITORY)
    elif wanted_by == "somebody's download":
        queue(desk.downloads, REPOSITORY)
    downloads = desk.downloads.list()
    damage(desk, "install", "tiny", copy=True)
    desk.installs.cancel(install)
    assert (Checkpoints(desk.models.root).get(REPOSITORY) is None) == (wanted_by == "nobody")
    assert desk.downloads.list() == downloads


def test_an_install_that_is_added_while_a_damaged_one_is_cancelled_keeps_its_checkpoint(
    server: HubServer, desk: Desk
) -> None:
    install = desk.add().id
    (download,) = desk.downloads.list()
    desk.downloads.run(download.id)
    old = server.repositories[REPOSITORY]
    server.repositories[REPOSITORY] = HubRepository(old.files | {"LICENSE": b"New."}, config=old.config)
    desk.add()  # the newer commit is to be fetched, and cancelled
    damage(desk, "install", "tiny", copy=True)

    def add_meanwhile(event: InstallEvent) -> None:
        if event == InstallRemoved(download.id):
            desk.installs.add_checkpoint(REPOSITORY, "second", RECIPE)

    desk.on_event = add_meanwhile
    desk.installs.cancel(install)
    (left,) = desk.installs.list()
    assert (left.name, left.state) == ("second", InstallState.QUEUED)
    assert Checkpoints(desk.models.root).get(REPOSITORY) is not None


def test_a_damaged_install_that_is_added_anew_while_it_is_cancelled_stays(
    server: HubServer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = desk.add().id
    damage(desk, "install", "tiny", copy=True)
    held, times = InstallFolder.held, itertools.count()

    def held_too_late(folder: InstallFolder) -> AbstractContextManager[None]:
        if next(times) == 1:  # first it is held to be restored, then to be deleted
            desk.add()
        return held(folder)

    monkeypatch.setattr(InstallFolder, "held", held_too_late)
    desk.installs.cancel(install)
    (left,) = desk.installs.list()
    assert (left.id, left.state, left.step) == (install, InstallState.QUEUED, DOWNLOAD)


def test_a_checkpoint_that_arrives_while_its_damaged_install_is_cancelled_does_not_stay(
    server: HubServer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = desk.add().id
    (download,) = desk.downloads.list()
    damage(desk, "install", "tiny", copy=True)
    add = Checkpoints.add

    def cancelled_too_late(checkpoints: Checkpoints, made: Path, manifest: Manifest) -> CheckpointEntry:
        desk.installs.cancel(install)
        return add(checkpoints, made, manifest)

    monkeypatch.setattr(Checkpoints, "add", cancelled_too_late)
    desk.downloads.start()
    desk.wait(lambda event: event == InstallRemoved(download.id))
    desk.close()
    assert leftovers(desk.models) == []


def test_an_error_that_somebody_else_has_noted_can_be_told(server: HubServer, desk: Desk) -> None:
    pull(desk.models, CHECKPOINT)
    desk.installs.add_checkpoint(CHECKPOINT, "tiny")
    folder = InstallFolders(desk.models.root / ".installs").of("tiny")
    for failure in (
        Failure("disk_full", {"other": 1}),
        Failure("error", {"self": 1}),
        Failure("other", {"a": "{b}"}),
    ):
        folder.write(msgspec.structs.replace(folder.read(), wanted=Wanted.FAILED, failure=failure))
        (failed,) = desk.installs.list()
        assert failed.state is InstallState.FAILED
        assert "went wrong" in str(failed.error)
