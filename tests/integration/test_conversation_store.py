"""Conversations come back as they were stored: trees of messages, versions, growing answers, deletion with undo."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import psutil
import pytest
import sqlalchemy

from hearth.conversations.message import (
    AnswerUsage,
    ConversationSettings,
    Message,
    MessageError,
    MessageStatus,
    Part,
    PartKind,
    Role,
)
from hearth.conversations.owner import is_running, this_process
from hearth.conversations.store import ConversationStore
from hearth.errors import ConversationNotFound, MessageNotFound
from hearth.paths import database_file
from hearth.storage.database import Database

USAGE = AnswerUsage(
    prompt_tokens=12,
    cached_tokens=3,
    generated_tokens=64,
    seconds_to_first_token=0.25,
    seconds=2.5,
    tokens_per_second=28.0,
    finish_reason="stop",
    context_tokens=76,
    context_length=512,
    dropped_turns=2,
)


@pytest.fixture
def database() -> Iterator[Database]:
    with Database.open(database_file()) as database:
        yield database


@pytest.fixture
def store(database: Database) -> ConversationStore:
    return ConversationStore(database)


def said(text: str) -> list[Part]:
    return [Part(PartKind.TEXT, text)]


class Talk:
    """One conversation, written to in the words of a test."""

    def __init__(self, store: ConversationStore) -> None:
        self.store = store
        self.id = store.create().id

    def user(self, text: str, below: Message | None = None) -> Message:
        return self._add(Role.USER, text, below)

    def assistant(self, text: str, below: Message | None) -> Message:
        return self._add(Role.ASSISTANT, text, below)

    def _add(self, role: Role, text: str, below: Message | None) -> Message:
        return self.store.add_message(
            self.id, parent_id=below.id if below else None, role=role, parts=said(text)
        )

    def view(self) -> list[tuple[str, int, int]]:
        return [(one.text, one.version, one.versions) for one in self.store.branch(self.id)]


@pytest.fixture
def talk(store: ConversationStore) -> Talk:
    return Talk(store)


def test_a_conversation_comes_back_as_it_was_made(store: ConversationStore) -> None:
    settings = ConversationSettings(system_prompt="be brief", temperature=0.0, stop=("\n",), seed=7)
    before = datetime.now(UTC)
    made = store.create(title="Stories 故事", model="stories", settings=settings)
    assert store.get(made.id) == made
    assert made.settings == settings
    assert made.leaf_id is None
    assert before <= made.created_at == made.updated_at <= datetime.now(UTC)
    assert store.branch(made.id) == []


def test_titles_models_and_settings_can_be_changed(store: ConversationStore) -> None:
    made = store.create()
    store.rename(made.id, "new")
    store.set_model(made.id, "other")
    store.set_settings(made.id, ConversationSettings(top_k=5))
    changed = store.get(made.id)
    assert (changed.title, changed.model, changed.settings.top_k) == ("new", "other", 5)
    assert changed.updated_at == made.updated_at


def test_the_list_has_the_newest_messages_first_in_pages(store: ConversationStore) -> None:
    talks = [Talk(store) for _ in range(4)]
    talks[1].user("newer")
    order = [talks[at].id for at in (1, 3, 2, 0)]
    assert [one.id for one in store.list()] == order
    assert [one.id for one in store.list(limit=2, offset=1)] == order[1:3]
    assert store.count() == 4


def test_a_deleted_conversation_is_gone_until_it_is_restored(store: ConversationStore, talk: Talk) -> None:
    question = talk.user("kept")
    store.delete(talk.id)
    assert store.list() == []
    assert store.count() == 0
    for call in (
        lambda: store.get(talk.id),
        lambda: store.branch(talk.id),
        lambda: store.rename(talk.id, ""),
        lambda: store.delete(talk.id),
        lambda: talk.user("more", below=question),
    ):
        with pytest.raises(ConversationNotFound):
            call()
    store.restore(talk.id)
    assert talk.view() == [("kept", 1, 1)]
    assert store.count() == 1


def test_what_never_was_is_not_found(store: ConversationStore, talk: Talk) -> None:
    with pytest.raises(ConversationNotFound):
        store.get("nothing")
    for call in (
        lambda: store.message("nothing"),
        lambda: store.write_answer("nothing", []),
        lambda: store.finish_answer("nothing", [], MessageStatus.COMPLETE),
        lambda: store.select_version("nothing", 1),
        lambda: store.add_message(talk.id, parent_id="nothing", role=Role.USER, parts=[]),
        lambda: store.add_message(
            talk.id, parent_id=Talk(store).user("elsewhere").id, role=Role.USER, parts=[]
        ),
    ):
        with pytest.raises(MessageNotFound):
            call()


def test_parts_of_every_kind_come_back_in_order(store: ConversationStore, talk: Talk) -> None:
    parts = [
        Part(PartKind.THINKING, "let me see"),
        Part(PartKind.TEXT, "a\0b \U0001f525 e\u0301\n"),
        Part(
            PartKind.TOOL_CALL, "", {"name": "clock", "arguments": {"zone": "UTC", "n": [1, 2.5, None, True]}}
        ),
        Part(PartKind.TOOL_RESULT, "12:00", {"id": "1"}),
    ]
    added = store.add_message(talk.id, parent_id=None, role=Role.ASSISTANT, parts=parts, model="stories")
    assert added.parts == parts
    assert store.message(added.id) == added
    assert store.branch(talk.id) == [added]
    assert added.model == "stories"


def test_a_branch_runs_from_the_root_to_the_newest_message(talk: Talk) -> None:
    question = talk.user("q1")
    answer = talk.assistant("a1", question)
    talk.user("q2", answer)
    assert talk.view() == [("q1", 1, 1), ("a1", 1, 1), ("q2", 1, 1)]


def test_versions_are_messages_with_the_same_parent_and_role(talk: Talk) -> None:
    question = talk.user("q1")
    talk.assistant("a1", question)
    second = talk.assistant("a2", question)
    talk.user("a follow-up straight below the question is no version of an answer", question)
    assert (second.version, second.versions) == (2, 2)
    edited = talk.user("q1, edited")
    assert (edited.version, edited.versions) == (2, 2)
    assert talk.view() == [("q1, edited", 2, 2)]


def test_moving_between_versions_shows_the_newest_leaf_below_and_stops_at_the_ends(
    store: ConversationStore, talk: Talk
) -> None:
    first = talk.user("first")
    answer = talk.assistant("a1", first)
    talk.user("deep old", answer)
    talk.user("deep new", answer)
    talk.assistant("a2", first)
    second = talk.user("second")

    def texts(branch: list[Message]) -> list[str]:
        return [one.text for one in branch]

    assert texts(store.select_version(second.id, -1)) == ["first", "a2"]
    assert texts(store.select_version(second.id, +1)) == ["second"]
    assert texts(store.select_version(first.id, -1)) == ["first", "a2"]
    moved = store.select_version(store.branch(talk.id)[1].id, -1)
    assert texts(moved) == ["first", "a1", "deep new"]
    assert [(one.version, one.versions) for one in moved] == [(1, 2), (1, 2), (2, 2)]
    assert store.branch(talk.id) == moved


def test_an_answer_grows_and_ends_with_its_usage(store: ConversationStore, talk: Talk) -> None:
    question = talk.user("q")
    answer = store.add_message(
        talk.id, parent_id=question.id, role=Role.ASSISTANT, parts=[], status=MessageStatus.STREAMING
    )
    store.write_answer(answer.id, said("Once"))
    store.write_answer(answer.id, [Part(PartKind.THINKING, "hm"), *said("Once upon"), *said(" a")])
    grown = store.message(answer.id)
    assert (grown.text, grown.status) == ("Once upon a", MessageStatus.STREAMING)
    ended = store.finish_answer(answer.id, said("Once upon a time"), MessageStatus.COMPLETE, usage=USAGE)
    assert ended == store.message(answer.id) == store.branch(talk.id)[1]
    assert (ended.text, ended.status, ended.usage) == ("Once upon a time", MessageStatus.COMPLETE, USAGE)
    store.write_answer(answer.id, said("too late"))
    assert store.message(answer.id) == ended


def test_a_failed_answer_keeps_its_text_and_says_why(store: ConversationStore, talk: Talk) -> None:
    answer = store.add_message(
        talk.id, parent_id=None, role=Role.ASSISTANT, parts=[], status=MessageStatus.STREAMING
    )
    error = MessageError("host_crashed", {"name": "stories", "reason": "signal 9"})
    store.finish_answer(answer.id, said("Once"), MessageStatus.FAILED, error=error)
    failed = store.message(answer.id)
    assert (failed.text, failed.status, failed.error, failed.usage) == (
        "Once",
        MessageStatus.FAILED,
        error,
        None,
    )


def test_an_answer_to_a_conversation_deleted_meanwhile_is_kept(store: ConversationStore, talk: Talk) -> None:
    answer = store.add_message(
        talk.id, parent_id=None, role=Role.ASSISTANT, parts=[], status=MessageStatus.STREAMING
    )
    store.delete(talk.id)
    store.write_answer(answer.id, said("Once"))
    store.finish_answer(answer.id, said("Once upon"), MessageStatus.COMPLETE)
    store.restore(talk.id)
    assert talk.view() == [("Once upon", 1, 1)]


def test_only_answers_whose_writer_is_gone_are_marked_interrupted(
    database: Database, store: ConversationStore, talk: Talk
) -> None:
    answers = [
        store.add_message(
            talk.id, parent_id=None, role=Role.ASSISTANT, parts=said("part"), status=MessageStatus.STREAMING
        )
        for _ in range(3)
    ]
    assert store.mark_interrupted() == 0
    started = psutil.Process().create_time()
    with database.session() as session:
        for answer, owner in zip(
            answers[1:], (f"{os.getpid()}:{started - 60:.2f}", "4194999:1.00"), strict=True
        ):
            session.execute(
                sqlalchemy.text("UPDATE message SET owner = :owner WHERE id = :id"),
                {"owner": owner, "id": answer.id},
            )
    assert store.mark_interrupted() == 2
    assert store.mark_interrupted() == 0
    statuses = [store.message(answer.id).status for answer in answers]
    assert statuses == [MessageStatus.STREAMING, MessageStatus.INTERRUPTED, MessageStatus.INTERRUPTED]
    assert store.message(answers[1].id).text == "part"


def test_a_process_knows_itself() -> None:
    assert is_running(this_process())
    assert not is_running("nonsense")


def test_settings_of_the_fronts_are_remembered(store: ConversationStore) -> None:
    assert store.get_setting("window.geometry") is None
    store.set_setting("window.geometry", {"x": 1, "maximized": False})
    store.set_setting("window.geometry", {"x": 2, "panels": ["left", None, 0.5]})
    assert store.get_setting("window.geometry") == {"x": 2, "panels": ["left", None, 0.5]}


def test_a_long_conversation_is_read_in_a_handful_of_statements(
    database: Database, store: ConversationStore, talk: Talk
) -> None:
    below: Message | None = None
    for at in range(60):
        below = talk.user(f"q{at}", below) if at % 2 == 0 else talk.assistant(f"a{at}", below)
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(database._engine, "before_cursor_execute", record)
    assert len(store.branch(talk.id)) == 60
    assert len(statements) <= 5
