"""Changing the settings file: only what was to be changed changes, and a file that is damaged is not touched."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disks import make_read_only, small_disk
from hearth.config import Config, default_text, load_config, write_default_config
from hearth.config_file import change_config
from hearth.errors import ConfigInvalid, ConfigUnknownKey, DiskFull, HomeUnwritable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    write_default_config(path)
    return path


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    return [
        (old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new
    ]


def test_a_value_takes_the_place_of_its_commented_default(path: Path) -> None:
    config = change_config(path, {"theme": "dark", "defaults.temperature": 0.3, "engine.threads": 4})
    assert changed_lines(default_text(), path.read_text("utf-8")) == [
        ('#theme = "system"', 'theme = "dark"'),
        ("#threads = 0", "threads = 4"),
        ("#temperature = 0.7", "temperature = 0.3"),
    ]
    assert (config.theme, config.defaults.temperature, config.engine.threads) == ("dark", 0.3, 4)
    assert load_config(path) == config


def test_none_brings_the_commented_default_back(path: Path) -> None:
    change_config(path, {"theme": "dark", "defaults.temperature": 0.3})
    assert change_config(path, {"theme": None, "defaults.temperature": None, "log.level": None}) == Config()
    assert path.read_text("utf-8") == default_text()


def test_without_a_file_it_is_written_with_all_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "home" / "config.toml"
    change_config(path, {"language": "zh"})
    assert changed_lines(default_text(), path.read_text("utf-8")) == [
        ('#language = "system"', 'language = "zh"')
    ]


def test_what_was_written_by_hand_stays(path: Path) -> None:
    text = (
        '# my file\n\nlanguage="zh"   # at home\n\n  [engine]  # careful\n  threads = 0x4\n\n'
        "[defaults]\ntemperature = 1\n#temperature = 0.7\nsystem_prompt = '''\nBe\nbrief.'''\n"
    )
    path.write_text(text, "utf-8")
    config = change_config(path, {"defaults.temperature": 0.5, "language": "en"})
    assert path.read_text("utf-8") == text.replace("temperature = 1\n", "temperature = 0.5\n").replace(
        '"zh"', '"en"'
    )
    assert (config.engine.threads, config.defaults.system_prompt) == (4, "Be\nbrief.")
    change_config(path, {"defaults.temperature": None, "language": None})
    assert path.read_text("utf-8") == text.replace("temperature = 1\n", "", 1).replace(
        'language="zh"   # at home', '#language = "system"   # at home'
    )


def test_a_text_that_only_looks_like_a_setting_is_left_alone(path: Path) -> None:
    text = "[defaults]\nsystem_prompt = '''\n#temperature = 0.7\n[engine]\n#threads = 0\n'''\n"
    path.write_text(text, "utf-8")
    change_config(path, {"defaults.temperature": 0.5, "engine.threads": 2})
    config = load_config(path)
    assert config.defaults.system_prompt == "#temperature = 0.7\n[engine]\n#threads = 0\n"
    assert (config.defaults.temperature, config.engine.threads) == (0.5, 2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[log]",
        'theme = "dark"',
        'engine.threads = 4\nlanguage = "zh"\nengine.max_slots = 3\n',
        "engine = {threads = 4, max_slots = 3}\n",
        '[ engine ]\n"threads" = 4\n[log]\nlevel = "debug"\n',
    ],
)
def test_every_way_to_write_a_file_can_be_changed(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    before = load_config(path)
    change_config(path, {"engine.threads": 9, "folders.models": "/big", "theme": "light"})
    after = load_config(path)
    assert (after.engine.threads, after.folders.models, after.theme) == (9, "/big", "light")
    assert (after.engine.max_slots, after.language, after.log) == (
        before.engine.max_slots,
        before.language,
        before.log,
    )
    change_config(path, {"engine.threads": None, "folders.models": None, "theme": None})
    assert load_config(path) == msgspec.structs.replace(
        before, theme="system", engine=msgspec.structs.replace(before.engine, threads=0)
    )


def test_a_table_that_an_older_file_lacks_comes_with_its_comments(path: Path) -> None:
    path.write_text('theme = "dark"\n', "utf-8")
    change_config(path, {"folders.models": "/big"})
    assert path.read_text("utf-8") == (
        'theme = "dark"\n\n[folders]\n# Where large files lie.\n\n'
        '# The folder that holds the models; empty takes models/ beside this file.\nmodels = "/big"\n'
    )


def test_the_line_ends_of_windows_stay(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf# mine\r\ntheme = "light"\r\n')
    change_config(path, {"theme": "dark", "log.level": "debug"})
    data = path.read_bytes()
    assert data.startswith(b'# mine\r\ntheme = "dark"\r\n')
    assert data.count(b"\n") == data.count(b"\r\n")
    assert load_config(path).log.level == "debug"


@given(text=st.text())
def test_any_text_can_be_kept(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    assert change_config(path, {"defaults.system_prompt": text}).defaults.system_prompt == text
    assert load_config(path).defaults.system_prompt == text


_CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "theme": st.sampled_from(["light", "dark", "system"]),
    "language": st.text(max_size=5),
    "folders.models": st.text(max_size=5),
    "engine.threads": st.integers(0, 1024),
    "defaults.temperature": st.floats(0, 100),
    "defaults.top_k": st.integers(0, 10**18),
    "log.level": st.sampled_from(["debug", "error"]),
}


@settings(max_examples=40)
@given(
    changes=st.lists(
        st.one_of(*(st.tuples(st.just(key), st.none() | value) for key, value in _CHANGES.items())),
        max_size=12,
    )
)
def test_whatever_is_changed_in_turn_the_last_value_holds_and_all_can_be_taken_back(
    changes: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    write_default_config(path)
    for key, value in changes:
        change_config(path, {key: value})
    config = load_config(path)
    for key, value in dict(changes).items():
        table, _, name = key.rpartition(".")
        kept = getattr(getattr(config, table) if table else config, name)
        default = getattr(getattr(Config(), table) if table else Config(), name)
        assert kept == (default if value is None else value)
    change_config(path, dict.fromkeys(_CHANGES))
    assert path.read_text("utf-8") == default_text()


@pytest.mark.parametrize(
    "key", ["colour", "engine.colour", "engine", "", "engine.threads.more", "language.x"]
)
@pytest.mark.parametrize("value", [None, 3])
def test_an_unknown_key_is_refused(path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigUnknownKey):
        change_config(path, {"theme": "dark", key: value})
    assert path.read_text("utf-8") == default_text()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("theme", "blue"),
        ("engine.threads", "four"),
        ("engine.threads", 2.5),
        ("defaults.top_p", float("nan")),
        ("defaults.temperature", 101),
        ("defaults.system_prompt", 3),
    ],
)
def test_a_value_without_a_meaning_is_refused(path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigInvalid, match=key):
        change_config(path, {"theme": "dark", key: value})
    assert path.read_text("utf-8") == default_text()


@pytest.mark.parametrize(
    "data", [b"theme = dark\n", b"\xff\xfe\x00", b"[engine]\nthreads = -1\n", b"nope = 1\n"]
)
def test_a_damaged_file_is_not_touched(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises((ConfigInvalid, ConfigUnknownKey)):
        change_config(path, {"theme": "dark"})
    assert path.read_bytes() == data


def test_the_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        change_config(path, {"theme": "dark"})
    assert path.read_text("utf-8") == default_text()
    assert [file.name for file in path.parent.iterdir()] == ["config.toml"]


def test_what_changes_nothing_writes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Path, "replace", written)
    assert change_config(path, {"theme": None}) == Config()


@pytest.mark.skipif(
    sys.platform == "win32", reason="links need a privilege on Windows, and modes mean nothing"
)
def test_a_link_stays_a_link_and_the_mode_stays(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "dotfiles" / "hearth.toml"
    kept.parent.mkdir()
    path.rename(kept)
    kept.chmod(0o600)
    path.symlink_to(kept)
    change_config(path, {"theme": "dark"})
    assert path.is_symlink()
    assert load_config(kept).theme == "dark"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with small_disk(tmp_path / "locked", 1 << 20) as folder:
        write_default_config(folder / "config.toml")
        make_read_only(folder)
        with pytest.raises(HomeUnwritable, match="locked"):
            change_config(folder / "config.toml", {"theme": "dark"})
        assert (folder / "config.toml").read_text("utf-8") == default_text()


def test_a_disk_that_is_full_keeps_the_old_file(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64 << 10) as folder:
        write_default_config(folder / "config.toml")
        with pytest.raises(DiskFull):
            change_config(folder / "config.toml", {"defaults.system_prompt": "x" * (100 << 10)})
        assert [file.name for file in folder.iterdir()] == ["config.toml"]
        assert load_config(folder / "config.toml") == Config()
