"""The queue of downloads: it outlives the program; each is paused, resumed, cancelled and moved, and tells what is wrong."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Event, Thread

import pytest

from disks import small_disk
from hearth.errors import (
    DiskFull,
    DownloadNotFound,
    DownloadRoom,
    DownloadStopped,
    HubFailed,
    InstallDamaged,
    ModelFileInvalid,
    RepositoryNotFound,
)
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.hub.download_folder import DownloadFolder
from hearth.models.hub.fetch import CONNECTIONS
from hearth.models.registry import ModelRegistry
from hearth.services.download_events import DownloadDone, DownloadEvent, DownloadState, DownloadStatus
from hearth.services.downloads import Downloads
from hearth.services.hearth import Hearth
from hub_repositories import CHECKPOINT, GENAI, GGUF, PIECE, leftovers, pull, queue
from hub_server import Fault, HubServer, random_faults


def test_the_queue_outlives_the_program_and_tells_what_happens(
    server: HubServer, models: ModelRegistry
) -> None:
    first = Downloads(models)
    ids = [queue(first, CHECKPOINT), queue(first, GENAI), queue(first, GGUF, "*q4*")]
    first.pause(ids[1])
    first.close()
    again = Downloads(models)
    assert [(one.id, one.state.value) for one in again.list()] == [
        (ids[0], "queued"),
        (ids[1], "paused"),
        (ids[2], "queued"),
    ]
    events: list[DownloadEvent] = []
    done = Event()

    def hear(event: DownloadEvent) -> None:
        events.append(event)
        if isinstance(event, DownloadDone) and event.id == ids[2]:
            done.set()

    again.changes.subscribe(hear)
    again.start()
    assert done.wait(60)
    again.close()
    assert [event.id for event in events if isinstance(event, DownloadDone)] == [ids[0], ids[2]]
    running = [event for event in events if isinstance(event, DownloadStatus) and event.id == ids[0]]
    assert [one.done for one in running] == sorted(one.done for one in running)
    assert running[-1].done == running[-1].total
    assert [one.id for one in again.list()] == [ids[1]]


def test_a_pause_keeps_what_is_there_and_the_next_run_fetches_the_rest(
    server: HubServer, models: ModelRegistry
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    # More pieces than connections, so that at least one is here.
    with server.holding(CONNECTIONS * PIECE) as waits, pytest.raises(DownloadStopped):
        downloads.run(download, cancelled=waits.is_set)
    paused = downloads.list()[0]
    assert paused.state is DownloadState.PAUSED
    assert 0 < paused.done < paused.total
    assert models.list() == []
    server.asked.clear()
    downloads.run(download)
    assert sum(asked.end - asked.start for asked in server.asked) == paused.total - paused.done
    assert leftovers(models) == [".checkpoints"]


def test_a_running_download_is_paused_resumed_and_cancelled(server: HubServer, models: ModelRegistry) -> None:
    downloads = Downloads(models)
    states: list[str] = []
    news = Event()

    def hear(event: DownloadEvent) -> None:
        state = event.state.value if isinstance(event, DownloadStatus) else type(event).__name__
        if states[-1:] != [state]:
            states.append(state)
        news.set()

    def until(state: str) -> None:
        while states[-1:] != [state]:
            assert news.wait(60)
            news.clear()

    downloads.changes.subscribe(hear)
    download = queue(downloads, CHECKPOINT)
    with server.holding():
        downloads.start()
        until("running")
        downloads.pause(download)
        until("paused")
        downloads.resume(download)
        downloads.start()
        until("running")
        downloads.cancel(download)
        until("DownloadRemoved")
        downloads.close()
    assert states == ["queued", "running", "paused", "queued", "running", "paused", "DownloadRemoved"]
    assert downloads.list() == []
    assert leftovers(models) == []


@pytest.mark.parametrize("is_damaged", [False, True])
def test_nothing_is_left_of_a_download_that_is_cancelled_while_it_is_resumed(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    if is_damaged:
        (models.root / ".downloads" / download / "download.json").write_bytes(b"")
    held = DownloadFolder.held

    def held_too_late(folder: DownloadFolder) -> AbstractContextManager[None]:
        monkeypatch.setattr(DownloadFolder, "held", held)
        Downloads(models).cancel(download)
        return held(folder)

    monkeypatch.setattr(DownloadFolder, "held", held_too_late)
    with pytest.raises(DownloadNotFound):
        downloads.resume(download)
    assert leftovers(models) == []


@pytest.mark.skipif(os.name != "posix", reason="looking holds a folder on Windows")
def test_whoever_looks_whether_a_folder_is_held_keeps_nobody_from_deleting_it(
    server: HubServer, models: ModelRegistry
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    folder = DownloadFolder(models.root / ".downloads" / download)
    over = Event()

    def look_on() -> None:
        while not over.wait(0.001):
            folder.is_held()

    lookers = [Thread(target=look_on, daemon=True) for _ in range(2)]
    for looker in lookers:
        looker.start()
    downloads.pause(download)
    assert not any(downloads.list()[0].elsewhere for _ in range(20))
    downloads.cancel(download)
    over.set()
    for looker in lookers:
        looker.join()
    assert leftovers(models) == []


def test_checkpoints_and_downloads_move_with_the_models(server: HubServer, tmp_path: Path) -> None:
    hearth = Hearth.open()
    pull(hearth.models, CHECKPOINT)
    waiting = queue(hearth.downloads, GENAI)
    hearth.move_models(tmp_path / "elsewhere")
    assert hearth.models.root == tmp_path / "elsewhere"
    assert Checkpoints(hearth.models.root).get(CHECKPOINT) is not None
    hearth.downloads.run(waiting)
    assert [model.name for model in hearth.models.list()] == ["small-onnx"]
    hearth.close()


def test_what_fails_says_why_and_can_be_tried_again(server: HubServer, models: ModelRegistry) -> None:
    server.fault = lambda kind, _path, _start: Fault(503) if kind == "content" else None
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    with pytest.raises(HubFailed, match="status 503"):
        downloads.run(download)
    failed = Downloads(models).list()[0]
    assert failed.state is DownloadState.FAILED
    assert isinstance(failed.error, HubFailed)
    server.fault = random_faults(0, 0)
    downloads.resume(download)
    downloads.run(download)


def test_a_repository_that_vanishes_under_way_is_told(server: HubServer, models: ModelRegistry) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    del server.repositories[CHECKPOINT]
    with pytest.raises(RepositoryNotFound):
        downloads.run(download)
    assert models.list() == []


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("tokenizer_extra.json", "../../../tokenizer_extra.json"),
        ('"repository":"org/Small-onnx"', '"repository":"../../x"'),
        ('"name":"mine"', '"name":"../mine"'),
    ],
)
def test_a_download_that_somebody_else_has_put_here_is_told_and_left_alone(
    server: HubServer, models: ModelRegistry, written: str, instead: str
) -> None:
    """The models folder may come from another machine, and nothing is fetched or written because of it."""
    downloads = Downloads(models)
    queue(downloads, GENAI, name="mine")
    (job,) = (models.root / ".downloads").glob("*/download.json")
    text = job.read_text()
    assert written in text
    job.write_text(text.replace(written, instead))
    with pytest.raises(ModelFileInvalid):
        DownloadFolder(job.parent).read()
    asked = len(server.requests)
    again = Downloads(models)
    (told,) = again.list()
    assert isinstance(told.error, InstallDamaged)
    again.start()
    again.close()
    assert len(server.requests) == asked


def test_a_disk_that_is_too_small_is_noticed_first(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.hub.fetch.SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", 16 * PIECE) as disk:
        models = ModelRegistry(disk)
        with pytest.raises(DownloadRoom):
            pull(models, CHECKPOINT)
        assert server.asked == []
        assert models.list() == []


def test_a_disk_that_fills_up_under_way_keeps_what_is_there(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.hub.fetch.SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", 32 * PIECE) as disk:
        models = ModelRegistry(disk)
        downloads = Downloads(models)
        download = queue(downloads, CHECKPOINT)

        def fill(sent: int) -> None:
            with server.lock:
                if sent > 2 * PIECE and not (disk / "others").exists():
                    fill_up(disk / "others")

        server.on_sent = fill
        with pytest.raises(DiskFull):
            downloads.run(download)
        assert models.list() == []
        server.on_sent = lambda _sent: None
        (disk / "others").unlink()
        downloads.run(download)
        assert leftovers(models) == [".checkpoints"]


def fill_up(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(PIECE)):
                pass
        except OSError:
            return
