"""What the model manager does: real models, real database, real files of other apps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app_layouts import cached_snapshot
from hearth.conversations.message import ConversationSettings, Message, Role
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import (
    KeyStoreUnusable,
    MeasuringCancelled,
    ModelAnswering,
    ModelBuiltIn,
    ModelNameTaken,
    ModelNotFound,
    VerifyCancelled,
)
from hearth.model_folder.manifest import Manifest, RemoteModel, write_manifest
from hearth.models.other_apps.places import Places
from hearth.models.remote_keys import read_key, write_key
from hearth.services import other_apps
from hearth.services.events import AnswerEnded, ModelState
from hearth.services.hearth import Hearth
from hearth.services.model_manager import ModelManager
from hearth.services.remembered import LAST_MODEL
from key_stores import KeyStore
from onnx_bytes import write_model_folder

ADDRESS = "http://127.0.0.1:9/v1"


@pytest.fixture
def hearth() -> Iterator[Hearth]:
    hearth = Hearth.open()
    yield hearth
    hearth.close()


@pytest.fixture
def manager(hearth: Hearth) -> ModelManager:
    return ModelManager(hearth)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model_folder(tmp_path / "disk" / "tiny")


def ask(hearth: Hearth, conversation_id: str, text: str, model: str) -> Message:
    ended: list[Message] = []
    done = threading.Event()

    def hear(event: object) -> None:
        if isinstance(event, AnswerEnded):
            ended.append(event.message)
            done.set()

    unsubscribe = hearth.assistant.events.subscribe(hear)
    hearth.pool.load(model).post(lambda: hearth.assistant.send(conversation_id, text, model=model))
    assert done.wait(60)
    unsubscribe()
    return ended[0]


def test_a_renamed_model_takes_along_whatever_names_it(
    hearth: Hearth, manager: ModelManager, source: Path
) -> None:
    hearth.models.import_folder(source, name="old")
    hearth.models.import_folder(source, name="other")
    hearth.models.alias("old", "o")
    hearth.models.change_settings("old", {"temperature": 0.1})
    hearth.change_settings({"defaults.model": "old", "engine.draft_model": "old"})
    hearth.conversations.set_setting(LAST_MODEL, "old")
    named = hearth.conversations.create(model="old")
    message = hearth.conversations.add_message(
        named.id, parent_id=None, role=Role.ASSISTANT, parts=[], model="old"
    )
    unnamed = hearth.conversations.create(model="other")
    entry = manager.rename("O", "new")
    assert (entry.name, set(entry.aliases)) == ("new", {"o", "old"})
    assert entry.manifest.settings.temperature == 0.1
    assert hearth.models.get("old").name == hearth.models.get("o").name == "new"
    assert hearth.conversations.get(named.id).model == "new"
    assert hearth.conversations.message(message.id).model == "new"
    assert hearth.conversations.get(unnamed.id).model == "other"
    assert (hearth.config.defaults.model, hearth.config.engine.draft_model) == ("new", "new")
    assert hearth.conversations.get_setting(LAST_MODEL) == "new"
    hearth.models.verify("new")


def test_a_model_can_get_its_old_name_back_but_not_that_of_another(
    hearth: Hearth, manager: ModelManager, source: Path
) -> None:
    hearth.models.import_folder(source, name="a")
    hearth.models.import_folder(source, name="b")
    manager.rename("a", "c")
    with pytest.raises(ModelNameTaken):
        manager.rename("b", "a")
    with pytest.raises(ModelNameTaken):
        manager.rename("c", "b")
    assert manager.rename("c", "a").aliases == ("c",)
    assert [entry.name for entry in hearth.models.list()] == ["a", "b"]


@pytest.fixture
def remote(hearth: Hearth, store: KeyStore) -> str:
    """The name of a remote model with a key."""
    hearth.models.add_remote("far", RemoteModel(address=ADDRESS, model="m", has_key=True))
    write_key("far", ADDRESS, "sesame")
    return "far"


def test_a_renamed_remote_model_takes_its_key_along(
    hearth: Hearth, manager: ModelManager, remote: str, store: KeyStore
) -> None:
    manager.rename(remote, "near")
    assert read_key("near", ADDRESS) == "sesame"
    assert len(store.keys) == 1


def test_where_the_key_cannot_be_moved_a_remote_model_keeps_its_name_and_its_key(
    hearth: Hearth, manager: ModelManager, remote: str, store: KeyStore
) -> None:
    store.is_full = True
    with pytest.raises(KeyStoreUnusable):
        manager.rename(remote, "near")
    assert [entry.name for entry in hearth.models.list()] == ["far"]
    assert read_key("far", ADDRESS) == "sesame"


def test_where_a_remote_model_cannot_be_renamed_no_key_is_touched(
    hearth: Hearth, manager: ModelManager, remote: str, store: KeyStore
) -> None:
    hearth.models.add_remote("other", RemoteModel(address=ADDRESS, model="m", has_key=True))
    write_key("other", ADDRESS, "open")
    with pytest.raises(ModelNameTaken):
        manager.rename(remote, "other")
    assert (read_key("far", ADDRESS), read_key("other", ADDRESS)) == ("sesame", "open")


def test_closing_where_the_models_cannot_be_listed_keeps_the_keys_and_does_not_fail(
    hearth: Hearth, manager: ModelManager, remote: str, store: KeyStore
) -> None:
    manager.remove(remote)
    aside = hearth.models.root.with_name("aside")
    hearth.models.root.rename(aside)
    hearth.models.root.write_bytes(b"no folder")
    hearth.models.purge_removed()
    assert len(store.keys) == 1


def test_no_change_of_a_manifest_is_lost_to_another_thread(hearth: Hearth, source: Path) -> None:
    hearth.models.import_folder(source, name="tiny")

    def change(key: str, value: object) -> None:
        for _ in range(10):
            hearth.models.change_settings("tiny", {key: value})
            start.wait()
            hearth.models.change_settings("tiny", {key: None})
            start.wait()
            hearth.models.change_settings("tiny", {key: value})

    values = {"temperature": 0.5, "top_k": 7, "top_p": 0.5, "max_tokens": 9}
    start = threading.Barrier(len(values))
    threads = [threading.Thread(target=change, args=item) for item in values.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settings = hearth.models.get("tiny").manifest.settings
    assert {key: getattr(settings, key) for key in values} == values
    assert [file.name for file in (hearth.models.root / "tiny").glob("*.tmp")] == []


def test_no_change_of_a_manifest_is_lost_to_another_process(hearth: Hearth, source: Path) -> None:
    hearth.models.import_folder(source, name="tiny")
    script = (
        "from hearth.models.registry import ModelRegistry\n"
        "registry = ModelRegistry()\n"
        "for n in range(30):\n"
        "    registry.alias('tiny', f'alias-{n}')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], env=dict(os.environ)) as process:
        while process.poll() is None:
            hearth.models.change_settings("tiny", {"top_k": 7})
            time.sleep(0.02)  # the lock is given to whoever looks first: ten times a second there
    assert process.returncode == 0
    assert len(hearth.models.get("tiny").aliases) == 30


def test_a_model_in_use_is_not_renamed_removed_or_measured(
    hearth: Hearth, manager: ModelManager, stories_float32: Path
) -> None:
    hearth.models.import_folder(stories_float32, name="stories", in_place=True)
    worker = hearth.pool.acquire("stories")
    worker.wait_ready()
    assert manager.overview("stories").is_answering
    for act in (lambda: manager.rename("stories", "x"), lambda: manager.remove("stories")):
        with pytest.raises(ModelAnswering):
            act()
    with pytest.raises(ModelAnswering):
        manager.measure("stories")
    worker.rest.release()
    removed = manager.remove("stories")
    assert hearth.pool.status("stories").state is ModelState.UNLOADED
    with pytest.raises(ModelNotFound):
        hearth.models.get("stories")
    manager.restore(removed)
    assert hearth.models.get("stories").path == stories_float32.resolve()


def test_settings_of_a_model_of_hearth_lie_beside_the_users_models(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_manifest(source, Manifest(version=1, name="starter", licence="Apache-2.0"))
    before = {file: file.read_bytes() for file in source.iterdir()}
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (source,))
    hearth = Hearth.open()
    manager = ModelManager(hearth)
    entry = manager.change_settings("starter", {"top_k": 5})
    assert (entry.manifest.settings.top_k, entry.manifest.licence) == (5, "Apache-2.0")
    with pytest.raises(ModelBuiltIn):
        manager.rename("starter", "mine")
    assert hearth.defaults_for("starter").top_k == 5
    assert [entry.name for entry in hearth.models.list()] == ["starter"]
    hearth.move_models(tmp_path / "moved")
    assert hearth.models.get("starter").manifest.settings.top_k == 5
    hearth.close()
    assert {file: file.read_bytes() for file in source.iterdir()} == before


def test_an_answer_uses_the_models_settings_below_those_of_its_conversation(
    hearth: Hearth, manager: ModelManager, stories_float32: Path
) -> None:
    hearth.models.import_folder(stories_float32, name="stories", in_place=True)
    greedy = hearth.conversations.create(settings=ConversationSettings(temperature=0, max_tokens=20)).id
    expected = ask(hearth, greedy, "Once upon a time", "stories").text
    manager.change_settings("stories", {"temperature": 0.0, "max_tokens": 20, "max_context": 128})
    plain = hearth.conversations.create().id
    assert ask(hearth, plain, "Once upon a time", "stories").text == expected
    short = hearth.conversations.create(settings=ConversationSettings(max_tokens=3)).id
    answer = ask(hearth, short, "Once upon a time", "stories")
    assert answer.usage is not None
    assert answer.usage.generated_tokens == 3
    assert hearth.pool.load("stories").info().context_length == 512  # as it was loaded
    hearth.pool.unload_and_wait(["stories"])
    assert hearth.pool.load("stories").wait_ready().context_length == 128


def test_the_page_of_a_model_before_and_after_it_was_measured(
    hearth: Hearth, manager: ModelManager, stories_float32: Path
) -> None:
    hearth.models.import_folder(stories_float32, name="stories", in_place=True)
    first = manager.overview("stories")
    assert (first.architecture, first.context_length, first.in_place) == ("llama", 512, True)
    assert (first.state, first.speed, first.last_used, first.problem) == (ModelState.UNLOADED, None, None, "")
    assert first.memory_bytes > first.bytes
    assert not first.is_memory_measured
    ask(hearth, hearth.conversations.create().id, "Once upon a time", "stories")
    loaded = manager.overview("stories")
    assert loaded.state is ModelState.READY
    assert loaded.is_memory_measured
    assert loaded.last_used is not None
    told: list[tuple[int, int]] = []
    speed = manager.measure(
        "stories", prompt_tokens=64, repeat=1, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 6) for done in range(7)]
    assert (speed.prompt_tokens, speed.threads > 0) == (64, True)
    assert all((speed.read_speed, speed.write_speed, speed.load_seconds, speed.memory_bytes))
    manager.change_settings("stories", {"max_context": 100})
    (page,) = manager.overviews()
    assert (page.speed, page.context_length) == (speed, 100)
    assert page.memory_bytes == speed.memory_bytes


def test_measuring_stops_in_the_middle_of_a_run_and_keeps_nothing(
    hearth: Hearth, manager: ModelManager, stories_float32: Path
) -> None:
    hearth.models.import_folder(stories_float32, name="stories", in_place=True)
    begun, told = threading.Event(), threading.Event()

    def tell(done: int, total: int) -> None:
        begun.set()
        assert done < total
        told.wait()  # no run ends by itself

    def cancelled() -> bool:
        told.set()
        return begun.is_set()

    with pytest.raises(MeasuringCancelled, match="stories"):
        manager.measure("stories", progress=tell, cancelled=cancelled)
    assert manager.overview("stories").speed is None
    assert hearth.pool.statuses() == []


def test_verifying_can_be_stopped(hearth: Hearth, manager: ModelManager, source: Path) -> None:
    hearth.models.import_folder(source, name="tiny")
    with pytest.raises(VerifyCancelled):
        manager.verify("tiny", cancelled=lambda: True)
    manager.verify("tiny")


def test_a_model_whose_files_are_gone_has_a_page_that_says_so(
    hearth: Hearth, manager: ModelManager, source: Path
) -> None:
    hearth.models.import_folder(source, name="tiny", in_place=True)
    source.rename(source.with_name("elsewhere"))
    page = manager.overview("tiny")
    assert "does not exist" in page.problem
    assert page.context_length == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there that tests lack")
def test_a_model_of_the_hugging_face_cache_runs_in_place_and_stays_when_it_is_removed(
    hearth: Hearth, manager: ModelManager, stories_float32: Path, tmp_path: Path
) -> None:
    hub = tmp_path / ".cache" / "huggingface" / "hub"
    snapshot = cached_snapshot(hub, "org/stories-onnx", stories_float32, "cpu/float32")
    before = sorted(path for path in hub.rglob("*"))
    places = Places(home=tmp_path, environment={}, root=tmp_path)
    (finding,) = other_apps.find(hearth.models, places)
    assert finding.added_as == ""
    entry = manager.add_found(finding.model)
    assert (entry.name, entry.path, entry.in_place) == ("org-stories-onnx-cpu-float32", snapshot, True)
    assert (entry.manifest.app, entry.manifest.source) == ("hugging-face", "org/stories-onnx")
    assert other_apps.find(hearth.models, places)[0].added_as == entry.name
    assert manager.overview(entry.name).app == "Hugging Face"
    manager.verify(entry.name)
    worker = hearth.pool.load(entry.name)
    outputs = worker.generate(SamplingParams(temperature=0, max_tokens=30), text="Once upon a time")
    assert "".join(output.text for output in outputs).startswith(", there was a little girl")
    manager.remove(entry.name)
    hearth.models.purge_removed()
    assert sorted(path for path in hub.rglob("*")) == before
    assert (snapshot / "model.onnx").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there that tests lack")
def test_a_model_of_another_app_takes_no_name_that_is_on_its_way(
    hearth: Hearth, manager: ModelManager, stories_float32: Path, tmp_path: Path
) -> None:
    cached_snapshot(tmp_path / ".cache" / "huggingface" / "hub", "org/stories", stories_float32)
    (finding,) = other_apps.find(hearth.models, Places(home=tmp_path, environment={}, root=tmp_path))
    name = finding.model.good_name
    hearth.installs.add_checkpoint(tmp_path, name)
    assert manager.add_found(finding.model).name == f"{name}-2"
