"""One conversation in the terminal, kept where the window keeps its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from hearth.cli.opening import load_model
from hearth.cli.output import note, status, write, write_streamed
from hearth.conversations.message import ConversationSettings, Message, MessageStatus, Role
from hearth.errors import HearthError, RequestInvalid
from hearth.i18n import mark, ntr, tr
from hearth.services.events import AnswerEnded, AnswerEvent, AnswerGrew, AnswerStarted, TurnsDropped

if TYPE_CHECKING:
    from hearth.services.hearth import Hearth

COMMANDS = {
    "/help": mark("this list"),
    "/new": mark("begin a new conversation"),
    "/model": mark("/model NAME: let another model answer"),
    "/system": mark("/system TEXT: set the system prompt; without a text, none"),
    "/regenerate": mark("answer the last question again"),
    "/quit": mark("leave (Ctrl+D)"),
}


class TerminalChat:
    """Takes lines: questions and commands."""

    def __init__(self, hearth: Hearth) -> None:
        self._hearth = hearth
        self._model = ""
        self._conversation_id: str | None = None
        self._settings = ConversationSettings()
        self._told: set[str] = set()
        self._events: SimpleQueue[AnswerEvent | HearthError] = SimpleQueue()
        hearth.assistant.events.subscribe(self._events.put)
        hearth.pool.changes.subscribe(lambda status: note(status.notice) if status.notice else None)

    def use_model(self, name: str) -> None:
        """Load a model, which answers from now on.

        Raises:
            HearthError: it is not here or cannot be loaded; the old one stays.
        """
        worker = load_model(self._hearth, name)
        self._model = worker.name
        if not worker.info().has_chat_template and worker.name not in self._told:
            self._told.add(worker.name)
            note(
                tr(
                    "{name} has no chat template: it continues your text and does not answer questions.",
                    name=worker.name,
                )
            )

    def take(self, line: str) -> bool:
        """Do what a line says; False where it says to leave.

        Raises:
            HearthError: it could not be done.
        """
        text = line.strip()
        command, _, argument = text.partition(" ")
        if not text:
            return True
        if not command.startswith("/"):
            self._ask(text)
        elif command == "/quit":
            return False
        elif command == "/help":
            for name, meaning in COMMANDS.items():
                note(f"{name:<12} {tr(meaning)}")
        elif command == "/new":
            self._conversation_id = None
        elif command == "/model" and argument:
            self.use_model(argument.strip())
        elif command == "/system":
            self._set_system_prompt(argument.strip())
        elif command == "/regenerate":
            self._regenerate()
        else:
            raise RequestInvalid(
                reason=tr("“{command}” is no command here; /help lists them", command=command)
            )
        return True

    def _ask(self, text: str) -> None:
        if self._conversation_id is None:
            conversation = self._hearth.conversations.create(model=self._model, settings=self._settings)
            self._conversation_id = conversation.id
        conversation_id, model = self._conversation_id, self._model
        self._answer(lambda: self._hearth.assistant.send(conversation_id, text, model=model))

    def _regenerate(self) -> None:
        branch = self._hearth.conversations.branch(self._conversation_id) if self._conversation_id else []
        if not branch or branch[-1].role is not Role.ASSISTANT:
            raise RequestInvalid(reason=tr("there is no answer yet"))
        answer, model = branch[-1].id, self._model
        self._answer(lambda: self._hearth.assistant.answer_again(answer, model=model))

    def _set_system_prompt(self, text: str) -> None:
        self._settings = msgspec.structs.replace(self._settings, system_prompt=text)
        if self._conversation_id is not None:
            self._hearth.conversations.set_settings(self._conversation_id, self._settings)

    def _answer(self, job: Callable[[], None]) -> None:
        """Have `job` done on the model's thread, and write what comes of it until the answer has ended."""

        def report() -> None:
            try:
                job()
            except HearthError as error:
                self._events.put(error)

        self._hearth.pool.load(self._model).post(report)
        started: Message | None = None
        wants_stop = has_text = False
        while True:
            try:
                event = self._next(waiting=not has_text)
            except KeyboardInterrupt:
                wants_stop = True
                if started is not None:
                    self._hearth.assistant.stop(started.id)
                continue
            match event:
                case HearthError():
                    raise event
                case AnswerStarted():
                    started = event.answer
                    if wants_stop:
                        self._hearth.assistant.stop(started.id)
                case TurnsDropped():
                    note(
                        ntr(
                            "({n} older turn did not fit and was left out)",
                            "({n} older turns did not fit and were left out)",
                            event.turns,
                        )
                    )
                case AnswerGrew():
                    has_text = True
                    write_streamed(event.text)
                case AnswerEnded():
                    write("")
                    self._conclude(event.message)
                    return
                case _:
                    pass

    def _next(self, *, waiting: bool) -> AnswerEvent | HearthError:
        if not waiting or not self._events.empty():
            return self._events.get()
        with status(tr("Thinking…")):
            return self._events.get()

    def _conclude(self, message: Message) -> None:
        """What stands below an answer."""
        if message.error is not None:
            raise HearthError.from_code(message.error.code, message.error.params)
        if message.status is MessageStatus.INTERRUPTED:
            note(tr("(stopped)"))
        usage = message.usage
        if usage is not None and sys.stderr.isatty():
            speed = f"{usage.tokens_per_second:.1f}"
            note(
                tr(
                    "({speed} tokens/s, {used} of {length} tokens)",
                    speed=speed,
                    used=usage.context_tokens,
                    length=usage.context_length,
                )
            )
