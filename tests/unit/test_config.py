"""The settings file: every key has a default, a limit and a comment, and a mistake is named in plain words."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from hearth.config import (
    Config,
    DefaultsSection,
    FoldersSection,
    default_text,
    load_config,
    models_root,
    not_recommendable,
    with_recommended,
    write_default_config,
)
from hearth.errors import ConfigInvalid, ConfigUnknownKey, HomeUnwritable
from hearth.paths import config_file


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_file_the_defaults_apply() -> None:
    assert load_config() == Config()


def test_the_first_start_writes_a_file_that_changes_nothing() -> None:
    write_default_config(config_file())
    assert load_config() == Config()


def test_every_key_of_the_written_file_stands_with_its_default(tmp_path: Path) -> None:
    uncommented = re.sub(r"^#(\w+ = )", r"\1", default_text(), flags=re.MULTILINE)
    changed = len(re.findall(r"^\w+ = ", uncommented, flags=re.MULTILINE))
    keys = sum(
        len(value.__struct_fields__) if hasattr(value, "__struct_fields__") else 1
        for value in (getattr(Config(), name) for name in Config.__struct_fields__)
    )
    assert changed == keys
    assert load_config(written(tmp_path, uncommented)) == Config()


def test_every_key_of_the_written_file_has_a_comment() -> None:
    lines = default_text().splitlines()
    for above, line in pairwise(lines):
        if re.match(r"#\w+ = ", line):
            assert re.match(r"# \S.*\.$", above), line


def test_a_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, 'theme = "dark"\n')
    write_default_config(path)
    assert load_config(path).theme == "dark"


def test_values_are_read_and_a_whole_number_serves_as_a_number(tmp_path: Path) -> None:
    path = written(tmp_path, 'language = "zh"\n[engine]\nthreads = 4\n[defaults]\ntemperature = 1\n')
    config = load_config(path)
    assert (config.language, config.engine.threads, config.defaults.temperature) == ("zh", 4, 1.0)
    assert isinstance(config.defaults.temperature, float)


def test_the_mark_that_notepad_writes_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbftheme = "light"\r\n')
    assert load_config(path).theme == "light"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("temprature = 1", "temprature", "defaults.temperature"),
        ("[engine]\nthread = 2", "engine.thread", "engine.threads"),
        ("[engin]\nthreads = 2", "engin", "engine"),
        ("threads = 2", "threads", "engine.threads"),
        ("[defaults]\nmax_token = 2", "defaults.max_token", "defaults.max_tokens"),
        ('colour_theme = "dark"', "colour_theme", "theme"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    tmp_path: Path, text: str, key: str, nearest: str
) -> None:
    with pytest.raises(ConfigUnknownKey) as caught:
        load_config(written(tmp_path, text))
    assert caught.value.params["key"] == key
    assert caught.value.params["nearest"] == nearest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[engine]\nthreads = "four"', "“engine.threads” must be a whole number from 0 to 1024"),
        ("[engine]\nthreads = 2.5", "“engine.threads” must be a whole number from 0 to 1024"),
        ("[engine]\nthreads = true", "“engine.threads” must be a whole number from 0 to 1024"),
        ("[engine]\nmax_slots = 0", "“engine.max_slots” must be a whole number from 1 to 256"),
        ("[engine]\nkv_cache_mb = -1", "“engine.kv_cache_mb” must be a whole number from 0"),
        ("[defaults]\ntop_p = 1.5", "“defaults.top_p” must be a number from 0 to 1"),
        ("[defaults]\ntemperature = nan", "“defaults.temperature” must be a number from 0 to 100"),
        ("[defaults]\nsystem_prompt = 3", "“defaults.system_prompt” must be a text in quotes"),
        ('theme = "blue"', "“theme” must be one of “system”, “light”, “dark”"),
        ('[log]\nlevel = ["info"]', "“log.level” must be one of “debug”, “info”, “warning”, “error”"),
        ("engine = 3", "“engine” must be a table, written [engine]"),
        ("theme = dark", "it is not valid TOML: Invalid value (at line 1, column 9)"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_expected(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_config(written(tmp_path, text))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "folder"),
    [
        ("", "home/models"),
        ("/big/models", "/big/models"),
        ("../other", "home/../other"),
        ("~/m", "me/m"),
        ("~nobody-here/m", "home/~nobody-here/m"),
    ],
)
def test_the_models_folder(value: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "me"))
    assert models_root(Config(folders=FoldersSection(value))) == tmp_path / folder


def test_a_recommendation_counts_where_the_settings_say_nothing() -> None:
    settings = DefaultsSection(temperature=0.2, max_tokens=50)
    chosen = with_recommended(settings, {"temperature": 0.9, "top_p": 0.8, "top_k": 40.0, "min_p": 0})
    assert chosen == DefaultsSection(temperature=0.2, top_p=0.8, top_k=40, min_p=0, max_tokens=50)
    assert isinstance(chosen.top_k, int)
    assert with_recommended(settings, {}) == settings


@pytest.mark.parametrize(
    "sampling",
    [
        {"colour": 1.0},
        {"max_tokens": 5.0},
        {"model": 1.0},
        {"temperature": -1.0},
        {"top_k": 1.5},
        {"top_p": 2},
    ],
)
def test_a_recommendation_without_a_meaning_is_left_out(sampling: dict[str, float]) -> None:
    assert with_recommended(DefaultsSection(), sampling) == DefaultsSection()
    assert not_recommendable({**sampling, "min_p": 0.1}) == list(sampling)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigInvalid, match="UTF-8"):
        load_config(path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        load_config(tmp_path)


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnwritable):
        write_default_config(tmp_path / "file" / "config.toml")
    with pytest.raises(HomeUnwritable):
        write_default_config(tmp_path / "file" / "home" / "config.toml")
