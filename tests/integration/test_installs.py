"""Models on their way from the hub to where they answer: what is there in the end, whatever stops it in between."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Any

import msgspec
import psutil
import pytest

from command_line import hearth
from disks import enlarge, leave_no_room, small_disk
from golden_checkpoint import golden_checkpoint
from hearth.errors import (
    CheckpointMissing,
    DiskFull,
    DownloadBusy,
    InstallBusy,
    InstallDamaged,
    InstallNotFound,
    ModelFolderMissing,
    ModelNameInvalid,
    ModelNameOnItsWay,
    ModelNameTaken,
    QuantizeCrashed,
    QuantizeRoom,
    RecipeUnknown,
    RepositoryGated,
)
from hearth.model_folder.manifest import Manifest, RemoteModel
from hearth.model_folder.model_settings import ModelSettings
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.choices import Format, choose
from hearth.models.hub.download_job import Failure
from hearth.models.hub.install_folder import InstallFolder, InstallFolders, Wanted
from hearth.models.hub.patience import Patience
from hearth.models.registry import ModelRegistry
from hearth.services.downloads import Downloads
from hearth.services.events import Listeners
from hearth.services.hearth import Hearth
from hearth.services.hub import look
from hearth.services.install_events import (
    InstallDone,
    InstallEvent,
    InstallRemoved,
    InstallState,
    InstallStatus,
    InstallStep,
)
from hearth.services.installs import Installs
from hub_repositories import CHECKPOINT, GENAI, GGUF, PIECE, pull, queue, small_repositories
from hub_server import HubRepository, HubServer
from onnx_bytes import write_model_folder

REPOSITORY = "org/Tiny-Llama"
DOWNLOAD, QUANTIZE, REPORT, CHECK = InstallStep
ALL_STEPS = (DOWNLOAD, QUANTIZE, REPORT, CHECK)
RECIPE = "int8"


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
        monkeypatch.delenv("HEARTH_HUB_TOKEN", raising=False)
        monkeypatch.setattr("hearth.models.hub.fetch.PIECE_BYTES", PIECE)
        monkeypatch.setattr(
            "hearth.models.hub.client.PATIENCE", Patience(first_seconds=0.001, longest_seconds=0.01)
        )
        yield server


@pytest.fixture
def models(hearth_home: Path) -> ModelRegistry:
    return ModelRegistry(hearth_home / "models")


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


@pytest.fixture
def desk(models: ModelRegistry) -> Iterator[Desk]:
    desk = Desk(models)
    yield desk
    desk.close()


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


def leftovers(models: ModelRegistry) -> list[str]:
    return sorted(path.name for path in models.root.iterdir()) if models.root.exists() else []


def test_a_checkpoint_is_fetched_quantized_and_answers(server: HubServer) -> None:
    hearth = Hearth.open()
    events: list[InstallEvent] = []
    done = Event()

    def hear(event: InstallEvent) -> None:
        events.append(event)
        if isinstance(event, InstallDone):
            done.set()

    hearth.installs.changes.subscribe(hear)
    offer = look(REPOSITORY)
    added = hearth.installs.add(offer.repository, offer.choices[0], recipe=RECIPE)
    assert (added.name, added.steps, added.step) == ("tiny-llama", ALL_STEPS, DOWNLOAD)
    assert (added.state, added.format) == (InstallState.QUEUED, Format.CHECKPOINT)
    hearth.installs.start()
    assert done.wait(120)
    last = events[-1]
    assert isinstance(last, InstallDone)
    assert (last.id, last.entry.name) == (added.id, "tiny-llama")
    assert last.entry.manifest.revision == server.repositories[REPOSITORY].commit
    assert last.entry.manifest.quality is not None
    hearth.pool.load("tiny-llama").wait_ready()
    hearth.models.verify("tiny-llama")
    running = [event for event in events if isinstance(event, InstallStatus)]
    seen = [event.step for event in running if event.state is InstallState.RUNNING]
    assert [step for step in InstallStep if step in seen] == list(ALL_STEPS)
    assert seen == sorted(seen, key=list(ALL_STEPS).index)
    assert {event.id for event in running} == {added.id}
    assert hearth.installs.list() == []
    hearth.close()
    assert leftovers(hearth.models) == ["tiny-llama"]


@pytest.mark.timeout(300)
def test_paused_in_each_step_it_stays_paused_over_a_restart_and_goes_on_where_it_was(
    server: HubServer, models: ModelRegistry
) -> None:
    desk = Desk(models)
    install = desk.add().id
    left = 0
    for step in ALL_STEPS:
        if step is DOWNLOAD:  # while the server still has something to send
            with server.holding(1) as waits:
                desk.installs.start()
                assert waits.wait(60)
                desk.installs.pause(install)
                desk.wait_paused()
        else:
            stop_at(desk, step, desk.installs.pause)
            desk.installs.start()
            desk.wait_paused()
        desk = desk.restarted()
        desk.installs.start()
        paused = desk.at(install)
        assert paused.state is InstallState.PAUSED
        assert paused.step is (DOWNLOAD if step is DOWNLOAD else QUANTIZE)
        if step is DOWNLOAD:
            left = paused.total - paused.done
            server.asked.clear()
        if step in (REPORT, CHECK):
            assert paused.done == paused.total > 0
        assert models.list() == []
        assert desk.events == []
        desk.installs.resume(install)
    assert desk.finish().entry.name == "tiny"
    assert 0 < fetched_bytes(server) == left
    desk.close()
    assert leftovers(models) == ["tiny"]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("step", ALL_STEPS)
def test_cancelled_in_any_step_nothing_is_left(server: HubServer, desk: Desk, step: InstallStep) -> None:
    server.pace = 0.01
    install = desk.add().id
    stop_at(desk, step, desk.installs.cancel)
    desk.installs.start()
    desk.wait(lambda event: event == InstallRemoved(install))
    assert desk.installs.list() == []
    assert leftovers(desk.models) == []
    with pytest.raises(InstallNotFound):
        desk.installs.pause(install)


def test_what_does_not_run_is_cancelled_at_once(server: HubServer, desk: Desk) -> None:
    first, second = desk.add(), desk.add(name="second")
    desk.installs.pause(first.id)
    assert {status.state for status in desk.installs.list()} == {
        InstallState.PAUSED
    }  # they share the download
    desk.installs.cancel(first.id)
    assert [status.id for status in desk.installs.list()] == [second.id]
    assert leftovers(desk.models) == [".downloads", ".installs"]
    desk.installs.cancel(second.id)
    assert desk.installs.list() == []
    assert leftovers(desk.models) == []
    assert server.asked == []


def test_a_cancelling_that_was_cut_short_is_finished_by_the_next_start(server: HubServer, desk: Desk) -> None:
    install = desk.add().id
    folder = InstallFolders(desk.models.root / ".installs").of("tiny")
    folder.write(msgspec.structs.replace(folder.read(), wanted=Wanted.REMOVED))
    again = desk.restarted()
    again.installs.start()
    again.wait(lambda event: event == InstallRemoved(install))
    assert leftovers(desk.models) == []
    again.close()


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


def kill_children() -> None:
    while not (children := psutil.Process().children()):
        time.sleep(0.001)
    for child in children:
        child.kill()


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
@pytest.mark.parametrize("repository", [REPOSITORY, GENAI])
def test_the_settings_that_were_chosen_are_the_models_from_its_first_moment(
    server: HubServer, desk: Desk, repository: str
) -> None:
    desk.add(repository, settings=ModelSettings(max_context=64))
    settings = desk.add(
        repository, settings=ModelSettings(max_context=128, temperature=-1.0)
    )  # of a newer wish
    again = desk.restarted()
    again.installs.changes = Listeners()  # the window is closed: nobody hears that it is done
    again.installs.start()
    while again.installs.list():
        time.sleep(0.01)
    again.close()
    (entry,) = desk.models.list()
    assert entry.manifest.settings == ModelSettings(max_context=128)
    assert settings.name == entry.name


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


def test_what_is_only_fetched_is_listed_too(server: HubServer, desk: Desk) -> None:
    checkpoint = queue(desk.downloads, CHECKPOINT)
    model = desk.add(GENAI, name="small")
    assert [(one.id, one.name, one.steps, one.recipe) for one in desk.installs.list()] == [
        (checkpoint, CHECKPOINT, (DOWNLOAD,), ""),
        (model.id, "small", (DOWNLOAD,), ""),
    ]
    desk.installs.pause(checkpoint)
    done = desk.finish()
    assert (done.id, done.entry.name) == (model.id, "small")
    assert desk.at(checkpoint).state is InstallState.PAUSED
    desk.installs.resume(checkpoint)
    desk.installs.start()
    desk.wait(lambda event: event == InstallRemoved(checkpoint))
    assert Checkpoints(desk.models.root).get(CHECKPOINT) is not None
    assert desk.installs.list() == []


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


def test_a_name_that_cannot_be_had_is_told_before_anything_is_fetched(
    server: HubServer, desk: Desk, tmp_path: Path
) -> None:
    pull(desk.models, GENAI, name="here")
    server.asked.clear()
    desk.add(name="mine")
    desk.add(GENAI, name="also")
    offer = look(REPOSITORY)
    for name, error in [
        ("here", ModelNameTaken),
        ("also", ModelNameOnItsWay),
        ("a/b", ModelNameInvalid),
    ]:
        with pytest.raises(error):
            desk.add(name=name)
    with pytest.raises(ModelNameOnItsWay):
        desk.add(name="mine", recipe="small")
    with pytest.raises(ModelNameOnItsWay):
        desk.add(GENAI, name="mine")
    with pytest.raises(RecipeUnknown):
        desk.add(name="other", recipe="smal")
    with pytest.raises(CheckpointMissing):
        desk.installs.add_checkpoint(CHECKPOINT, "other")
    with pytest.raises(ModelFolderMissing):
        desk.installs.add_checkpoint(tmp_path / "nowhere", "other")
    again = desk.add(name="mine")
    desk.add(name="tiny-llama")
    free = desk.installs.add(offer.repository, offer.choices[0], recipe=RECIPE)
    assert [status.name for status in desk.installs.list()] == ["mine", "tiny-llama", free.name, "also"]
    assert (again.name, free.name) == ("mine", "tiny-llama-2")
    assert server.asked == []


def test_nobody_else_takes_the_name_of_a_model_on_its_way(
    server: HubServer, desk: Desk, tmp_path: Path
) -> None:
    models = desk.models
    desk.add(name="mine")
    desk.add(GENAI, name="small")
    remote = RemoteModel(address="http://127.0.0.1:9", model="m")
    models.add_remote("here", remote)
    removed = models.remove(models.add_remote("gone", remote).name)
    desk.downloads.add(look(GGUF).repository, look(GGUF).choices[0], "gone")
    write_model_folder(tmp_path / "small")
    taking: list[Callable[[str], object]] = [
        lambda name: models.import_folder(tmp_path / "small", name=name),
        lambda name: models.add_remote(name, remote),
        lambda name: models.rename("here", name),
        lambda name: models.alias("here", name),
    ]
    for name in ("mine", "small"):
        for take in taking:
            with pytest.raises(ModelNameOnItsWay):
                take(name)
        assert "on its way already" in hearth("quantize", str(tmp_path), name).error_line()
    with pytest.raises(ModelNameOnItsWay):
        models.restore(removed)
    assert models.suggest_name(tmp_path / "small") == "small-2"


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


def damage(desk: Desk, kind: str, name: str = "*", *, copy: bool = False) -> None:
    """Nobody can read the note of its install or download any more."""
    (folder,) = (desk.models.root / f".{kind}s").glob(name)
    (folder / f"{kind}.json").write_bytes(b"{")
    if copy:
        (folder / f"{kind}.copy.json").unlink()


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
