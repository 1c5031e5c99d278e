"""Settings changed while Hearth runs: the file, and everything that goes by it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hearth import i18n
from hearth.config import Config, DefaultsSection, load_config
from hearth.config_file import change_config
from hearth.conversations.message import ConversationSettings, Message
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import (
    ConfigInvalid,
    ConfigUnknownKey,
    HearthError,
    ModelFolderMissing,
    ModelsBusy,
    ModelsFolderUnusable,
)
from hearth.model_folder.manifest import Manifest, read_manifest, write_manifest
from hearth.models.registry import ModelRegistry
from hearth.services.events import AnswerEnded, ModelState
from hearth.services.hearth import Hearth
from hearth.services.model_worker import ModelWorker
from onnx_bytes import write_model_folder


@pytest.fixture
def opened() -> Iterator[Hearth]:
    with closing(Hearth.open()) as opened:
        yield opened
    logging.getLogger("hearth").setLevel(logging.NOTSET)


@pytest.fixture
def starter(stories_float32: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of Hearth's own that recommends how it is to be sampled."""
    (tmp_path / "made").mkdir()
    folder = ModelRegistry(tmp_path / "made").import_folder(stories_float32, name="hearth-starter").path
    manifest = Manifest(
        version=1, name="hearth-starter", sampling={"temperature": 0.3, "top_k": 40, "magic": 7}
    )
    write_manifest(folder, manifest)
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (folder,))
    return manifest.name


def test_a_change_is_in_the_file_in_hearth_and_told(opened: Hearth) -> None:
    told: list[tuple[Config, Config]] = []
    opened.settings_changed.subscribe(lambda config: told.append((config, opened.config)))
    config = opened.change_settings({"theme": "dark", "defaults.top_p": 0.5})
    assert (config.theme, config.defaults.top_p) == ("dark", 0.5)
    assert opened.config == load_config() == config
    assert told == [(config, config)]
    assert opened.change_settings({"theme": "dark"}) == config
    assert len(told) == 1, "what changes nothing is not told"
    assert opened.change_settings({"theme": None, "defaults.top_p": None}) == Config()


def test_what_was_changed_by_hand_meanwhile_counts_too(opened: Hearth, hearth_home: Path) -> None:
    (hearth_home / "config.toml").write_text("# by hand\n[engine]\nthreads = 3\n")
    config = opened.change_settings({"theme": "light"})
    assert (config.engine.threads, config.theme) == (3, "light")
    assert "# by hand" in (hearth_home / "config.toml").read_text()


def test_a_damaged_file_is_left_alone_until_it_is_mended(hearth_home: Path) -> None:
    hearth_home.mkdir()
    file = hearth_home / "config.toml"
    file.write_text("theme = dark\n")
    with closing(Hearth.open()) as opened:
        assert isinstance(opened.config_error, ConfigInvalid)
        with pytest.raises(ConfigInvalid):
            opened.change_settings({"theme": "dark"})
        assert file.read_text() == "theme = dark\n"
        assert opened.config == Config()
        file.write_text('theme = "dark"\n')
        opened.change_settings({"language": "en"})
        assert opened.config_error is None
        assert opened.config.theme == "dark"


def test_a_change_without_a_meaning_changes_nothing(opened: Hearth) -> None:
    told: list[Config] = []
    opened.settings_changed.subscribe(told.append)
    with pytest.raises(ConfigUnknownKey):
        opened.change_settings({"theme": "dark", "defaults.colour": 1})
    with pytest.raises(ConfigInvalid):
        opened.change_settings({"theme": "dark", "defaults.top_p": 7})
    assert (opened.config, load_config(), told) == (Config(), Config(), [])


def test_language_and_log_level_take_effect(opened: Hearth, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken: list[str] = []
    monkeypatch.setattr(i18n, "use_language", spoken.append)
    opened.change_settings({"language": "zh", "log.level": "error"})
    opened.change_settings({"theme": "dark"})
    assert spoken == ["zh"]
    assert logging.getLogger("hearth").level == logging.ERROR


def test_engine_settings_count_for_the_next_load(
    opened: Hearth, stories_int8: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.models.import_folder(stories_int8, name="stories")
    before = opened.pool.load("stories")
    before.wait_ready()
    opened.change_settings({"engine.max_context": 64, "engine.threads": 1})
    assert opened.pool.load("stories") is before
    opened.pool.unload("stories")
    assert opened.pool.load("stories").wait_ready().context_length == 64


def test_many_threads_may_change_settings_at_once(opened: Hearth) -> None:
    keys = [
        "engine.threads",
        "engine.max_slots",
        "engine.kv_cache_mb",
        "defaults.top_k",
        "defaults.max_tokens",
    ]
    threads = [
        threading.Thread(target=lambda key=key: [opened.change_settings({key: n}) for n in range(1, 8)])
        for key in keys
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config = opened.config
    assert config == load_config()
    assert (config.engine.threads, config.engine.max_slots, config.engine.kv_cache_mb) == (7, 7, 7)
    assert (config.defaults.top_k, config.defaults.max_tokens) == (7, 7)


def test_a_listener_may_change_settings_itself(opened: Hearth) -> None:
    told: list[str] = []

    def listen(config: Config) -> None:
        told.append(config.theme)
        if config.theme == "light":
            opened.change_settings({"theme": "dark"})

    opened.settings_changed.subscribe(listen)
    opened.change_settings({"theme": "light"})
    assert told == ["light", "dark"]
    assert opened.config.theme == "dark"


# Defaults


def test_what_a_models_maker_recommends_counts_where_the_settings_say_nothing(
    starter: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Hearth.open()) as opened:
        assert opened.defaults_for(starter) == DefaultsSection(temperature=0.3, top_k=40)
        opened.change_settings({"defaults.temperature": 1.5, "defaults.system_prompt": "Be brief."})
        assert opened.defaults_for(starter.upper()) == DefaultsSection(
            temperature=1.5, top_k=40, system_prompt="Be brief."
        )
        for name in (None, "nowhere"):
            assert opened.defaults_for(name) == opened.config.defaults
        opened.change_settings({"defaults.temperature": 0.7})
        assert opened.defaults_for(starter).temperature == 0.3, "a default that is written out is the default"
    assert [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()] == [
        "What hearth-starter recommends for magic is ignored"
    ]


def test_an_answer_takes_the_conversations_setting_then_the_files_then_the_models(
    starter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[SamplingParams] = []
    real = ModelWorker.submit

    def submit(self: ModelWorker, request: object, on_output: object) -> None:
        asked.append(request.params)  # type: ignore[attr-defined]
        real(self, request, on_output)  # type: ignore[arg-type]

    monkeypatch.setattr(ModelWorker, "submit", submit)
    with closing(Hearth.open()) as opened:
        opened.change_settings({"defaults.max_tokens": 4})
        ask(opened, starter, ConversationSettings())
        opened.change_settings({"defaults.temperature": 0.9, "defaults.max_tokens": 3})
        ask(opened, starter, ConversationSettings())
        ask(opened, starter, ConversationSettings(temperature=0.1, top_k=2))
    chosen = [(params.temperature, params.top_k, params.top_p, params.max_tokens) for params in asked]
    assert chosen == [(0.3, 40, 0.95, 4), (0.9, 40, 0.95, 3), (0.1, 2, 0.95, 3)]


def ask(opened: Hearth, model: str, settings: ConversationSettings) -> Message:
    ended: list[Message] = []
    done = threading.Event()

    def hear(event: object) -> None:
        if isinstance(event, AnswerEnded):
            ended.append(event.message)
            done.set()

    unsubscribe = opened.assistant.events.subscribe(hear)
    talk = opened.conversations.create(settings=settings)
    opened.pool.load(model).post(lambda: opened.assistant.send(talk.id, "Once upon a time", model=model))
    assert done.wait(30)
    unsubscribe()
    assert ended[0].error is None
    return ended[0]


# The models folder


def test_another_models_folder_is_used_as_it_is(opened: Hearth, tmp_path: Path, stories_int8: Path) -> None:
    opened.models.import_folder(stories_int8, name="stories")
    opened.models.import_folder(stories_int8, name="theirs", in_place=True)
    for name in ("stories", "theirs"):
        opened.pool.load(name).wait_ready()
    write_model_folder(tmp_path / "big" / "tiny")
    ModelRegistry(tmp_path / "big").import_folder(stories_int8, name="theirs", in_place=True)
    opened.change_settings({"folders.models": str(tmp_path / "big")})
    assert [entry.name for entry in opened.models.list()] == ["theirs", "tiny"]
    assert opened.pool.status("stories").state is ModelState.UNLOADED
    assert opened.pool.status("theirs").state is ModelState.READY, "its files are the same"
    opened.change_settings({"folders.models": None})
    assert [entry.name for entry in opened.models.list()] == ["stories", "theirs"]


def test_a_models_folder_that_is_not_there_is_refused(opened: Hearth, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderMissing, match="nowhere"):
        opened.change_settings({"folders.models": str(tmp_path / "nowhere")})
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelsFolderUnusable, match="file"):
        opened.change_settings({"folders.models": str(tmp_path / "file")})
    with pytest.raises(ModelsFolderUnusable, match="file"):
        opened.change_settings({"folders.models": str(tmp_path / "file" / "models")})
    assert load_config() == Config()
    assert not (tmp_path / "nowhere").exists()


def test_a_models_folder_whose_disk_is_gone_is_told_at_the_start(hearth_home: Path, tmp_path: Path) -> None:
    change_config(hearth_home / "config.toml", {"folders.models": str(tmp_path / "unplugged")})
    with pytest.raises(ModelFolderMissing):
        Hearth.open(strict_config=True)
    with closing(Hearth.open()) as opened:
        assert isinstance(opened.config_error, ModelFolderMissing)
        assert opened.models.list() == []
        opened.change_settings({"theme": "dark"})
        assert isinstance(opened.config_error, ModelFolderMissing)
        opened.change_settings({"folders.models": None})
        assert opened.config_error is None
        assert opened.models.root == hearth_home / "models"


def test_a_models_folder_that_cannot_be_read_can_be_left(hearth_home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    change_config(hearth_home / "config.toml", {"folders.models": str(tmp_path / "file")})
    with closing(Hearth.open()) as opened:
        assert isinstance(opened.config_error, ModelsFolderUnusable)
        with pytest.raises(HearthError):
            opened.models.list()
        opened.change_settings({"folders.models": None})
        assert opened.config_error is None
        assert opened.models.root == hearth_home / "models"
        assert opened.models.list() == []


def test_what_was_removed_does_not_stay_in_a_folder_that_is_left(opened: Hearth, tmp_path: Path) -> None:
    opened.models.import_folder(write_model_folder(tmp_path / "tiny"))
    removed = opened.models.remove("tiny")
    assert removed.path.is_dir()
    (tmp_path / "big").mkdir()
    opened.change_settings({"folders.models": str(tmp_path / "big")})
    assert not removed.path.exists()


def test_the_models_folder_stays_while_a_model_is_imported(opened: Hearth, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    refused: list[ModelsBusy] = []

    def progress(done: int, total: int) -> None:
        opened.change_settings({"theme": "dark"})
        try:
            opened.change_settings({"folders.models": str(tmp_path / "big")})
        except ModelsBusy as error:
            refused.append(error)

    entry = opened.models.import_folder(write_model_folder(tmp_path / "tiny"), progress=progress)
    assert refused
    assert (opened.config.theme, load_config().folders.models) == ("dark", "")
    assert read_manifest(entry.path).name == "tiny"
