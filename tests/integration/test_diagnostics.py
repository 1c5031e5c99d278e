"""The diagnostics help to find a fault and hold nothing private."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from hearth import __version__
from hearth.conversations.message import ConversationSettings, Part, PartKind, Role
from hearth.paths import config_file, database_file, home
from hearth.services.diagnostics import diagnostics
from hearth.services.hearth import Hearth
from hearth.services.licences import bundled_packages, licence_text

SECRET = "xylophone-7341"
CONFIG = f"""theme = "dark"

[engine]
threads = 1

[defaults]
temperature = 0.25
system_prompt = "Never tell anybody about the {SECRET}."
"""


@pytest.fixture
def private_home(hearth_home: Path) -> Path:
    """A home in which a secret stands everywhere where a person or a model can write."""
    hearth_home.mkdir()
    config_file().write_text(CONFIG, encoding="utf-8")
    hearth = Hearth.open()
    store = hearth.conversations
    conversation = store.create(title=f"About the {SECRET}", model="gone")
    store.set_settings(
        conversation.id, ConversationSettings(system_prompt=f"You are a {SECRET}.", stop=(SECRET,))
    )
    question = store.add_message(
        conversation.id,
        parent_id=None,
        role=Role.USER,
        parts=[Part(PartKind.TEXT, f"Where is the {SECRET}?")],
    )
    store.add_message(
        conversation.id,
        parent_id=question.id,
        role=Role.ASSISTANT,
        parts=[Part(PartKind.TEXT, f"The {SECRET} is in the attic.")],
    )
    hearth.close()
    return hearth_home


def test_no_prompt_answer_title_or_system_prompt_is_told(private_home: Path) -> None:
    hearth = Hearth.open()
    try:
        text = diagnostics(hearth)
    finally:
        hearth.close()
    written = database_file().read_bytes()  # the secret is there, so that its absence proves something
    for text_of_a_person in (f"About the {SECRET}", f"You are a {SECRET}", f"The {SECRET} is in the attic"):
        assert text_of_a_person.encode() in written
    assert "xylophone" not in text
    assert "defaults.system_prompt = (set, not shown)" in text
    assert "Conversations: 1" in text


def test_it_tells_versions_and_what_differs_from_the_defaults(private_home: Path) -> None:
    hearth = Hearth.open()
    try:
        lines = diagnostics(hearth).splitlines()
    finally:
        hearth.close()
    assert lines[0] == f"Hearth: {__version__}"
    assert any(line.startswith("ONNX Runtime: 1.") and "CPUExecutionProvider" in line for line in lines)
    assert any(line.startswith("Libraries: PySide6-Essentials 6.") for line in lines)
    assert '- theme = "dark"' in lines
    assert "- engine.threads = 1" in lines
    assert "- defaults.temperature = 0.25" in lines
    assert not any("defaults.top_p" in line for line in lines)


def test_the_users_folder_is_not_named(
    private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    text = diagnostics(None)
    assert str(tmp_path) not in text
    assert f"Home: {Path('~', home().name)}" in text
    assert "could not be opened" in text


@pytest.mark.skipif(sys.platform == "win32", reason="there every folder is written so")
def test_the_users_folder_is_not_named_where_it_must_be_escaped(
    hearth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / 'C:\\Users\\"name"'
    monkeypatch.setenv("HOME", str(user))
    (user / "models").mkdir(parents=True)
    with closing(Hearth.open()) as hearth:
        hearth.change_settings({"folders.models": str(user / "models")})
        text = diagnostics(hearth)
    assert '- folders.models = "~/models"' in text.splitlines()
    assert "Users" not in text


def test_a_folder_that_only_begins_like_the_users_is_named_whole(
    hearth_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(hearth_home)[:-1])
    monkeypatch.setenv("USERPROFILE", str(hearth_home)[:-1])
    assert f"Home: {hearth_home}" in diagnostics(None)


def test_a_damaged_settings_file_is_told_without_its_words(hearth_home: Path) -> None:
    hearth_home.mkdir()
    config_file().write_text(f'{SECRET} = "{SECRET}"\n', encoding="utf-8")
    hearth = Hearth.open()
    try:
        text = diagnostics(hearth)
    finally:
        hearth.close()
    assert "config.toml: config_unknown_key" in text
    assert SECRET not in text


def test_models_are_told_with_size_and_state(hearth_home: Path, stories_float32: Path) -> None:
    hearth = Hearth.open()
    try:
        entry = hearth.models.import_folder(stories_float32, name="stories")
        text = diagnostics(hearth)
    finally:
        hearth.close()
    assert f"- stories: {entry.bytes / 1e6:.1f} MB" in text.splitlines()


def test_every_package_that_is_needed_has_its_licence() -> None:
    packages = {package.name: package for package in bundled_packages()}
    assert {"Hearth", "Python", "onnxruntime", "PySide6_Essentials", "shiboken6", "tokenizers"} <= set(
        packages
    )
    assert "pytest" not in packages
    assert "ruff" not in packages
    for package in packages.values():
        assert package.version
        assert package.licence
        assert package.files, f"{package.name} has no licence text"
        assert len(licence_text(package)) > 400


def test_the_licences_of_qt_are_both_there() -> None:
    qt = next(package for package in bundled_packages() if package.name == "PySide6_Essentials")
    text = licence_text(qt)
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "END OF TERMS AND CONDITIONS" in text
