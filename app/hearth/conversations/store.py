"""Conversations in the database. Every call is one transaction and blocks; never call it on a front's main thread."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import uuid6
from sqlalchemy import ForeignKey, Index, String, Text, delete, func, select, text, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from hearth.conversations.message import (
    AnswerUsage,
    Conversation,
    ConversationSettings,
    Message,
    MessageError,
    MessageStatus,
    Part,
    PartKind,
    Role,
)
from hearth.conversations.owner import is_running, this_process
from hearth.conversations.tree import MessageTree, Node
from hearth.errors import ConversationNotFound, MessageNotFound
from hearth.storage.base import Base, Json, UtcDateTime
from hearth.storage.database import Database


class ConversationRow(Base):
    __tablename__ = "conversation"
    __table_args__ = (Index(None, "updated_at", sqlite_where=text("deleted_at IS NULL")),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    model: Mapped[str | None] = mapped_column(Text)
    leaf_id: Mapped[str | None] = mapped_column(ForeignKey("message.id", use_alter=True))
    settings: Mapped[ConversationSettings] = mapped_column(Json(ConversationSettings))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    def value(self) -> Conversation:
        return Conversation(
            id=self.id,
            title=self.title,
            created_at=self.created_at,
            updated_at=self.updated_at,
            model=self.model,
            leaf_id=self.leaf_id,
            settings=self.settings,
        )


class MessageRow(Base):
    """`owner` is the process that writes a streaming answer."""

    __tablename__ = "message"
    __table_args__ = (Index(None, "status", sqlite_where=text("status = 'streaming'")),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    conversation_id: Mapped[str] = mapped_column(
        ForeignKey("conversation.id", ondelete="CASCADE"), index=True
    )
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    model: Mapped[str | None] = mapped_column(Text)
    error: Mapped[MessageError | None] = mapped_column(Json(MessageError))
    owner: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class PartRow(Base):
    __tablename__ = "part"

    message_id: Mapped[str] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)
    data: Mapped[dict[str, Any]] = mapped_column(Json(dict[str, Any]))


class UsageRow(Base):
    """The columns are the fields of AnswerUsage."""

    __tablename__ = "usage"

    message_id: Mapped[str] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), primary_key=True)
    prompt_tokens: Mapped[int]
    cached_tokens: Mapped[int]
    generated_tokens: Mapped[int]
    seconds_to_first_token: Mapped[float]
    seconds: Mapped[float]
    tokens_per_second: Mapped[float]
    finish_reason: Mapped[str] = mapped_column(Text)
    context_tokens: Mapped[int]
    context_length: Mapped[int]
    dropped_turns: Mapped[int]


class SettingRow(Base):
    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)


_NO_SETTINGS = ConversationSettings()
_USAGE_COLUMNS = [getattr(UsageRow, name) for name in AnswerUsage.__struct_fields__]


class ConversationStore:
    """All conversations of one database, and the few values that the fronts remember."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Conversations

    def create(
        self,
        *,
        title: str = "",
        model: str | None = None,
        settings: ConversationSettings = _NO_SETTINGS,
    ) -> Conversation:
        now = _now()
        row = ConversationRow(
            id=_new_id(), title=title, model=model, settings=settings, created_at=now, updated_at=now
        )
        with self._database.session() as session:
            session.add(row)
            session.flush()
            return row.value()

    def get(self, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound for one that never was or is deleted, as all methods that take an id do."""
        with self._database.reading() as session:
            return _conversation(session, conversation_id).value()

    def list(self, *, limit: int = 200, offset: int = 0) -> builtins.list[Conversation]:
        """The conversations that are not deleted, those with the newest messages first."""
        newest_first = (
            select(ConversationRow)
            .where(ConversationRow.deleted_at.is_(None))
            .order_by(ConversationRow.updated_at.desc(), ConversationRow.id.desc())
        )
        with self._database.reading() as session:
            return [row.value() for row in session.scalars(newest_first.limit(limit).offset(offset))]

    def count(self) -> int:
        """How many conversations are not deleted."""
        with self._database.reading() as session:
            found = (
                select(func.count()).select_from(ConversationRow).where(ConversationRow.deleted_at.is_(None))
            )
            return session.scalars(found).one()

    def rename(self, conversation_id: str, title: str) -> None:
        with self._database.session() as session:
            _conversation(session, conversation_id).title = title

    def set_model(self, conversation_id: str, model: str | None) -> None:
        with self._database.session() as session:
            _conversation(session, conversation_id).model = model

    def rename_model(self, old: str, new: str) -> None:
        """What names the model `old` names it `new` from now on: conversations, deleted ones too, and messages."""
        with self._database.session() as session:
            session.execute(update(ConversationRow).where(ConversationRow.model == old).values(model=new))
            session.execute(update(MessageRow).where(MessageRow.model == old).values(model=new))

    def last_answers(self) -> dict[str, datetime]:
        """When each model last wrote an answer, by its name; reads all messages."""
        newest = func.max(MessageRow.created_at)
        statement = select(MessageRow.model, newest).where(MessageRow.model.is_not(None))
        with self._database.reading() as session:
            rows = session.execute(statement.group_by(MessageRow.model)).all()
        return {model: at for model, at in rows if model is not None}

    def set_settings(self, conversation_id: str, settings: ConversationSettings) -> None:
        with self._database.session() as session:
            _conversation(session, conversation_id).settings = settings

    def delete(self, conversation_id: str) -> None:
        """Take it out of sight; `restore` brings it back. An answer that is being written to it goes on."""
        with self._database.session() as session:
            _conversation(session, conversation_id).deleted_at = _now()

    def restore(self, conversation_id: str) -> None:
        with self._database.session() as session:
            _conversation(session, conversation_id, deleted_too=True).deleted_at = None

    # Messages

    def branch(self, conversation_id: str) -> builtins.list[Message]:
        """The messages from the root to the leaf of the branch on view."""
        with self._database.reading() as session:
            conversation = _conversation(session, conversation_id)
            tree = _tree(session, conversation_id)
            return _messages(session, tree, tree.path(conversation.leaf_id))

    def path_to(self, message_id: str) -> builtins.list[Message]:
        """The messages from the root to this one, on view or not."""
        with self._database.reading() as session:
            tree = _tree(session, _message_row(session, message_id).conversation_id)
            return _messages(session, tree, tree.path(message_id))

    def message(self, message_id: str) -> Message:
        """Raises MessageNotFound, as all methods that take a message's id do."""
        with self._database.reading() as session:
            return _message(session, _message_row(session, message_id))

    def add_message(
        self,
        conversation_id: str,
        *,
        parent_id: str | None,
        role: Role,
        parts: Sequence[Part],
        status: MessageStatus = MessageStatus.COMPLETE,
        model: str | None = None,
    ) -> Message:
        """Add a message below `parent_id` (None begins a branch at the root); it becomes the leaf on view."""
        now = _now()
        row = MessageRow(
            id=_new_id(),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            status=status,
            model=model,
            owner=this_process() if status is MessageStatus.STREAMING else None,
            created_at=now,
        )
        with self._database.session() as session:
            conversation = _conversation(session, conversation_id)
            if parent_id is not None and _message_row(session, parent_id).conversation_id != conversation_id:
                raise MessageNotFound
            session.add(row)
            session.flush()
            _write_parts(session, row.id, parts)
            conversation.leaf_id = row.id
            conversation.updated_at = now
            return _message(session, row)

    def select_version(self, message_id: str, step: int) -> builtins.list[Message]:
        """Move to the version `step` places after this one (-1: before) and to the newest leaf below it.

        Past the first or last version it stays there. Returns the branch that is on view then.
        """
        with self._database.session() as session:
            conversation = _conversation(session, _message_row(session, message_id).conversation_id)
            tree = _tree(session, conversation.id)
            versions = tree.versions(message_id)
            at = versions.index(message_id) + step
            conversation.leaf_id = tree.newest_leaf(versions[max(0, min(at, len(versions) - 1))])
            return _messages(session, tree, tree.path(conversation.leaf_id))

    # Answers

    def write_answer(self, message_id: str, parts: Sequence[Part]) -> None:
        """Store all of a growing answer's parts so far. Does nothing to an answer that has ended."""
        with self._database.session() as session:
            status = session.scalars(
                select(MessageRow.status).where(MessageRow.id == message_id)
            ).one_or_none()
            if status is None:
                raise MessageNotFound
            if status == MessageStatus.STREAMING:
                _write_parts(session, message_id, parts)

    def finish_answer(
        self,
        message_id: str,
        parts: Sequence[Part],
        status: MessageStatus,
        *,
        usage: AnswerUsage | None = None,
        error: MessageError | None = None,
    ) -> Message:
        """Store an answer as it ended, whether or not its conversation is deleted meanwhile."""
        with self._database.session() as session:
            row = _message_row(session, message_id)
            row.status, row.error, row.owner = status, error, None
            _write_parts(session, message_id, parts)
            session.execute(delete(UsageRow).where(UsageRow.message_id == message_id))
            if usage is not None:
                session.add(UsageRow(message_id=message_id, **msgspec.structs.asdict(usage)))
            conversation = _conversation(session, row.conversation_id, deleted_too=True)
            conversation.updated_at = _now()
            session.flush()
            return _message(session, row)

    def mark_interrupted(self) -> int:
        """Mark the answers whose writer is gone; returns how many. Called when Hearth starts."""
        streaming = select(MessageRow.id, MessageRow.owner).where(
            MessageRow.status == MessageStatus.STREAMING
        )
        with self._database.reading() as session:
            found = session.execute(streaming).all()
        gone = [message_id for message_id, owner in found if owner is None or not is_running(owner)]
        if not gone:
            return 0
        with self._database.session() as session:
            # Another Hearth that starts now may be doing the same.
            marked = session.scalars(
                update(MessageRow)
                .where(MessageRow.id.in_(gone), MessageRow.status == MessageStatus.STREAMING)
                .values(status=MessageStatus.INTERRUPTED, owner=None)
                .returning(MessageRow.id)
            ).all()
            return len(marked)

    # What the fronts remember

    def get_setting(self, key: str) -> Any | None:
        with self._database.reading() as session:
            value = session.scalars(select(SettingRow.value).where(SettingRow.key == key)).one_or_none()
            return None if value is None else msgspec.json.decode(value)

    def set_setting(self, key: str, value: Any) -> None:
        """Remember a value that JSON can hold."""
        encoded = msgspec.json.encode(value).decode()
        statement = insert(SettingRow).values(key=key, value=encoded)
        with self._database.session() as session:
            session.execute(statement.on_conflict_do_update(set_={"value": encoded}))


def _new_id() -> str:
    return str(uuid6.uuid7())


def _now() -> datetime:
    return datetime.now(UTC)


def _conversation(session: Session, conversation_id: str, *, deleted_too: bool = False) -> ConversationRow:
    row = session.get(ConversationRow, conversation_id)
    if row is None or (row.deleted_at is not None and not deleted_too):
        raise ConversationNotFound
    return row


def _message_row(session: Session, message_id: str) -> MessageRow:
    row = session.get(MessageRow, message_id)
    if row is None or row.deleted_at is not None:
        raise MessageNotFound
    return row


def _tree(session: Session, conversation_id: str) -> MessageTree:
    places = select(MessageRow.id, MessageRow.parent_id, MessageRow.role).where(
        MessageRow.conversation_id == conversation_id, MessageRow.deleted_at.is_(None)
    )
    return MessageTree(Node(*place) for place in session.execute(places))


def _message(session: Session, row: MessageRow) -> Message:
    """One message, without reading its whole conversation."""
    siblings = select(MessageRow.id, MessageRow.parent_id, MessageRow.role).where(
        MessageRow.conversation_id == row.conversation_id,
        MessageRow.parent_id == row.parent_id,
        MessageRow.deleted_at.is_(None),
    )
    tree = MessageTree(Node(*place) for place in session.execute(siblings))
    return _messages(session, tree, [row.id])[0]


def _messages(session: Session, tree: MessageTree, ids: builtins.list[str]) -> builtins.list[Message]:
    """The messages with these ids, in that order, in two queries."""
    # One JSON array as the parameter: SQLite limits how many parameters a statement may have.
    wanted = select(func.json_each(msgspec.json.encode(ids).decode()).table_valued("value").c.value)
    parts: dict[str, builtins.list[Part]] = {message_id: [] for message_id in ids}
    of_parts = select(PartRow.message_id, PartRow.kind, PartRow.text, PartRow.data)
    for message_id, kind, content, data in session.execute(
        of_parts.where(PartRow.message_id.in_(wanted)).order_by(PartRow.message_id, PartRow.position)
    ):
        parts[message_id].append(Part(PartKind(kind), content, data))
    found: dict[str, Message] = {}
    columns = (MessageRow.conversation_id, MessageRow.model, MessageRow.error, MessageRow.created_at)
    for (
        message_id,
        parent_id,
        role,
        status,
        conversation_id,
        model,
        error,
        created_at,
        *usage,
    ) in session.execute(
        select(
            MessageRow.id, MessageRow.parent_id, MessageRow.role, MessageRow.status, *columns, *_USAGE_COLUMNS
        )
        .outerjoin(UsageRow, UsageRow.message_id == MessageRow.id)
        .where(MessageRow.id.in_(wanted))
    ):
        versions = tree.versions(message_id)
        found[message_id] = Message(
            id=message_id,
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=Role(role),
            status=MessageStatus(status),
            parts=parts[message_id],
            created_at=created_at,
            model=model,
            error=error,
            usage=_usage(usage),
            version=versions.index(message_id) + 1,
            versions=len(versions),
        )
    return [found[message_id] for message_id in ids]


def _usage(values: Sequence[Any]) -> AnswerUsage | None:
    if values[0] is None:
        return None
    return AnswerUsage(**dict(zip(AnswerUsage.__struct_fields__, values, strict=True)))


def _write_parts(session: Session, message_id: str, parts: Sequence[Part]) -> None:
    """Make `parts` the parts of the message; cheap, as it is done every second of an answer."""
    if parts:
        statement = insert(PartRow)
        session.execute(
            statement.on_conflict_do_update(
                set_={name: statement.excluded[name] for name in ("kind", "text", "data")}
            ),
            [
                {
                    "message_id": message_id,
                    "position": at,
                    "kind": part.kind,
                    "text": part.text,
                    "data": part.data,
                }
                for at, part in enumerate(parts)
            ],
        )
    session.execute(delete(PartRow).where(PartRow.message_id == message_id, PartRow.position >= len(parts)))
