"""`hearth chat`, line by line: what is answered is kept as the window keeps it."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from command_line import hearth
from hearth.cli.terminal_chat import TerminalChat
from hearth.conversations.message import Conversation, Message, MessageStatus, Role
from hearth.conversations.store import ConversationStore
from hearth.model_folder.manifest import Manifest, write_manifest
from hearth.paths import database_file
from hearth.services.hearth import Hearth
from hearth.storage.database import Database


@pytest.fixture
def stories(stories_float32: Path, hearth_home: Path) -> str:
    assert hearth("models", "import", str(stories_float32), "--name", "stories").code == 0
    (hearth_home / "config.toml").write_text("[defaults]\ntemperature = 0.0\nmax_tokens = 12\n")
    return "stories"


def stored() -> list[tuple[Conversation, list[Message]]]:
    with Database.open(database_file()) as database:
        store = ConversationStore(database)
        return [(talk, store.branch(talk.id)) for talk in store.list()]


def test_without_a_model_it_says_how_to_get_one() -> None:
    result = hearth("chat")
    assert (result.code, result.out) == (0, "")
    assert "hearth models import" in result.err


@pytest.fixture
def starter(stories_int8: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model as Hearth itself brings one."""
    folder = shutil.copytree(stories_int8, tmp_path / "resources" / "model")
    write_manifest(folder, Manifest(version=1, name="hearth-starter", sampling={"temperature": 0.0}))
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (folder,))
    return "hearth-starter"


def test_without_another_model_the_one_of_hearth_answers(starter: str) -> None:
    result = hearth("chat", stdin="Once upon a time\n")
    assert (result.code, result.out[:8]) == (0, ", there ")
    ((talk, _),) = stored()
    assert talk.model == starter


def test_a_model_of_ones_own_goes_before_the_one_of_hearth(starter: str, stories: str) -> None:
    assert hearth("chat", stdin="Once\n").code == 0
    assert [talk.model for talk, _ in stored()] == [stories]
    assert hearth("chat", starter, stdin="Once\n").code == 0
    assert hearth("chat", stdin="Once\n").code == 0
    assert [talk.model for talk, _ in stored()] == [starter, starter, stories], "the one used last"


def test_what_the_model_recommends_is_used(starter: str) -> None:
    options = ["run", starter, "Once upon a time", "--raw", "--max-tokens", "20"]
    greedy = hearth(*options, "--temperature", "0").out
    assert hearth(*options).out == greedy
    assert hearth(*options, "--temperature", "5", "--seed", "1").out != greedy


def test_a_line_is_answered_and_kept(stories: str) -> None:
    result = hearth("chat", stdin="Once upon a time\n")
    assert result.code == 0, result.err
    assert result.out == ", there was a little girl named Lily. She\n"
    assert result.err.count("has no chat template") == 1
    ((talk, messages),) = stored()
    assert (talk.title, talk.model) == ("Once upon a time", "stories")
    assert [(message.role, message.status) for message in messages] == [
        (Role.USER, MessageStatus.COMPLETE),
        (Role.ASSISTANT, MessageStatus.COMPLETE),
    ]
    assert messages[1].text + "\n" == result.out


def test_regenerate_makes_another_version(stories: str) -> None:
    result = hearth("chat", stories, stdin="Once\n/regenerate\n")
    assert result.code == 0
    ((_, messages),) = stored()
    assert (messages[-1].version, messages[-1].versions) == (2, 2)


def test_new_begins_another_conversation_and_system_is_kept(stories: str) -> None:
    assert hearth("chat", stdin="/system Be brief.\nOnce\n\n/new\nThe dog\n/quit\nnever asked\n").code == 0
    talks = stored()
    assert [talk.title for talk, _ in talks] == ["The dog", "Once"]
    assert {talk.settings.system_prompt for talk, _ in talks} == {"Be brief."}


def test_another_model_may_answer_and_is_taken_next_time(stories: str, stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "small")
    line = hearth("chat", stdin="Once\n").error_line()
    assert "several models" in line
    result = hearth("chat", "stories", stdin="Once\n/model nope\n/model small\nThe dog\n")
    assert "no model named “nope”" in result.err
    assert result.code == 1, "a program that writes lines is told that one failed"
    ((talk, messages),) = stored()
    assert talk.model == "small"
    assert [message.model for message in messages if message.role is Role.ASSISTANT] == ["stories", "small"]
    assert hearth("chat", stdin="/quit\n").err.startswith("small has no chat template")


@pytest.mark.parametrize(
    ("line", "says"), [("/nonsense", "/help lists them"), ("/regenerate", "no answer yet")]
)
def test_what_cannot_be_done_is_said(stories: str, line: str, says: str) -> None:
    result = hearth("chat", stdin=f"{line}\n")
    assert result.code == 1
    assert says in result.err


def test_help_lists_the_commands(stories: str) -> None:
    assert "/regenerate" in hearth("chat", stdin="/help\n").err


def test_ctrl_c_stops_the_answer_and_not_the_chat(stories: str, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted: list[bool] = []
    real = TerminalChat._next

    def next_event(self: TerminalChat, *, waiting: bool) -> object:
        event = real(self, waiting=waiting)
        if not waiting and not interrupted:
            interrupted.append(True)
            self._events.put(event)
            raise KeyboardInterrupt
        return event

    monkeypatch.setattr(TerminalChat, "_next", next_event)
    with closing(Hearth.open()) as hearth_open:
        chat = TerminalChat(hearth_open)
        chat.use_model(stories)
        assert chat.take("Once upon a time")
        assert chat.take("The dog")
    ((_, messages),) = stored()
    assert interrupted
    assert messages[1].status in (MessageStatus.INTERRUPTED, MessageStatus.COMPLETE)
    assert messages[3].status is MessageStatus.COMPLETE
