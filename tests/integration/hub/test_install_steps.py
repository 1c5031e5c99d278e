"""An install goes its way step by step: fetched, quantized, measured, checked; paused and cancelled in each."""

from __future__ import annotations

import time
from threading import Event

import pytest

from hearth.errors import InstallNotFound
from hearth.model_folder.model_settings import ModelSettings
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.hub.choices import Format
from hearth.models.registry import ModelRegistry
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
from hub_repositories import CHECKPOINT, GENAI, leftovers, queue
from hub_server import HubServer
from installs_desk import (
    ALL_STEPS,
    CHECK,
    DOWNLOAD,
    QUANTIZE,
    RECIPE,
    REPORT,
    REPOSITORY,
    Desk,
    fetched_bytes,
    stop_at,
)


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
