"""Questions and answers: the use case that every chat front calls.

An answer is a message that grows in the database while it streams: at least once a second, so that a program that
is killed keeps what was on the screen.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from uuid import uuid4

import msgspec

from hearth.config import SAMPLING_KEYS, DefaultsSection
from hearth.conversations.context import fit_context, prompt_messages
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
from hearth.conversations.store import ConversationStore
from hearth.conversations.title import title_from
from hearth.engine.host.protocol import ChatMessage, Submit
from hearth.engine.outputs import ErrorInfo, FinishReason, RequestOutput, Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import HearthError
from hearth.services.events import (
    AnswerEnded,
    AnswerEvent,
    AnswerGrew,
    AnswerStarted,
    ConversationChanged,
    Listeners,
    PromptProgress,
    TurnsDropped,
)
from hearth.services.model_pool import ModelPool
from hearth.services.model_worker import ModelWorker
from hearth.services.prompt import chat_messages, continuation

log = logging.getLogger(__name__)

# Half of the promised second, since the tick that stores may come late.
STORE_SECONDS = 0.5
# Kept free for an answer without a limit of its own; but never more than a quarter of the context.
ANSWER_RESERVE_TOKENS = 512

_STATUS = {
    FinishReason.STOP: MessageStatus.COMPLETE,
    FinishReason.LENGTH: MessageStatus.COMPLETE,
    FinishReason.ABORT: MessageStatus.INTERRUPTED,
    FinishReason.ERROR: MessageStatus.FAILED,
}


@dataclass(slots=True)
class _Growing:
    """An answer that streams.

    Attributes:
        texts: what came so far, in pieces.
        stored: how many of the pieces the database has.
        asked: the prompt was handed to the engine.
        stopped: the user stopped it before that.
    """

    message: Message
    worker: ModelWorker
    request_id: str = field(default_factory=lambda: uuid4().hex)
    texts: list[str] = field(default_factory=list)
    stored: int = 0
    stored_at: float = field(default_factory=time.monotonic)
    asked: bool = False
    stopped: bool = False
    prompt_tokens: int = 0
    context_length: int = 0
    dropped_turns: int = 0

    def parts(self) -> list[Part]:
        text = "".join(self.texts)
        return [Part(PartKind.TEXT, text)] if text else []


class AssistantService:
    """Stores questions, asks the model, and stores the answers while they grow.

    `send`, `answer_again` and `edit` read and write the database, so they run on the model's worker thread:
    `pool.load(model).post(lambda: assistant.send(...))`. Events come on that thread, too.

    Attributes:
        events: what happens to conversations and answers.
    """

    def __init__(
        self,
        conversations: ConversationStore,
        pool: ModelPool,
        defaults_for: Callable[[str], DefaultsSection],
    ) -> None:
        """`defaults_for` gives what an answer of that model uses where its conversation sets nothing."""
        self.events: Listeners[AnswerEvent] = Listeners()
        self._conversations = conversations
        self._pool = pool
        self._defaults_for = defaults_for
        self._lock = Lock()
        self._growing: dict[str, _Growing] = {}

    def send(self, conversation_id: str, text: str, *, model: str) -> None:
        """Store a question at the end of the branch on view, and answer it.

        Raises:
            HearthError: it could not be stored. Whatever fails later is stored with the answer.
        """
        conversation = self._conversations.get(conversation_id)
        self._ask(conversation, conversation.leaf_id, text, model)

    def edit(self, message_id: str, text: str, *, model: str) -> None:
        """Store a new version of a question, and answer it. Raises HearthError where it could not be stored."""
        old = self._conversations.message(message_id)
        conversation = self._conversations.get(old.conversation_id)
        self._ask(conversation, old.parent_id, text, model)

    def answer_again(self, message_id: str, *, model: str) -> None:
        """Write a new version of an answer. Raises HearthError where it could not be stored."""
        old = self._conversations.message(message_id)
        conversation = self._conversations.get(old.conversation_id)
        self._answer(conversation, old.parent_id, None, model)

    def stop(self, message_id: str) -> None:
        """End an answer; what it has so far stays. From any thread; returns at once."""
        with self._lock:
            growing = self._growing.get(message_id)
        if growing is not None:
            growing.worker.post(lambda: self._stop(growing))

    def _ask(self, conversation: Conversation, parent_id: str | None, text: str, model: str) -> None:
        question = self._conversations.add_message(
            conversation.id, parent_id=parent_id, role=Role.USER, parts=[Part(PartKind.TEXT, text)]
        )
        if not conversation.title:
            self._conversations.rename(conversation.id, title_from(text))
            self.events.emit(ConversationChanged(conversation.id))
        self._answer(conversation, question.id, question, model)

    def _answer(
        self, conversation: Conversation, parent_id: str | None, question: Message | None, model: str
    ) -> None:
        """Add an empty answer below `parent_id`, and fill it once the model is there."""
        if conversation.model != model:
            self._conversations.set_model(conversation.id, model)
            self.events.emit(ConversationChanged(conversation.id))
        worker = self._pool.acquire(model)  # until `_end`: an open answer keeps its model
        try:
            answer = self._conversations.add_message(
                conversation.id,
                parent_id=parent_id,
                role=Role.ASSISTANT,
                parts=[],
                status=MessageStatus.STREAMING,
                model=model,
            )
        except BaseException:
            worker.rest.release()
            raise
        growing = _Growing(answer, worker)
        with self._lock:
            self._growing[answer.id] = growing
        self.events.emit(AnswerStarted(conversation.id, question, answer))
        growing.worker.when_settled(lambda: self._begin(growing, conversation.settings))

    # On the worker's thread

    def _begin(self, growing: _Growing, settings: ConversationSettings) -> None:
        """The model is there, or will not come: hand it the prompt."""
        if growing.stopped:
            return
        if growing.worker.is_closing:
            self._end(growing, FinishReason.ABORT, None, None)
            return
        try:
            request = self._request(growing, settings)
        except HearthError as error:
            self._end(growing, FinishReason.ERROR, None, ErrorInfo.of(error))
            return
        except Exception as error:
            # Whatever it is, the answer ends and says so.
            log.exception("an answer could not be begun")
            self._end(growing, FinishReason.ERROR, None, ErrorInfo.of(HearthError(detail=str(error))))
            return
        growing.asked = True
        growing.worker.submit(request, lambda output: self._on_output(growing, output))
        growing.worker.each_tick(lambda: self._on_tick(growing))

    def _request(self, growing: _Growing, settings: ConversationSettings) -> Submit:
        """The prompt that fits, with what it is to be sampled by."""
        worker = growing.worker
        info = worker.info()
        defaults = self._defaults_for(worker.name)
        params = _params(settings, defaults)
        history = [m for m in self._conversations.path_to(growing.message.id)[:-1] if m.text]
        system_prompt = settings.system_prompt or defaults.system_prompt
        reserve = min(params.max_tokens or ANSWER_RESERVE_TOKENS, info.context_length // 4)

        def prompt(pairs: list[tuple[str, str]]) -> tuple[list[ChatMessage] | None, str | None]:
            return (chat_messages(pairs), None) if info.has_chat_template else (None, continuation(pairs))

        def count(pairs: list[tuple[str, str]]) -> int:
            messages, text = prompt(pairs)
            return worker.count(messages=messages, text=text)

        fitted = fit_context(history, system_prompt, count, info.context_length, reserve)
        growing.prompt_tokens = fitted.tokens
        growing.context_length = info.context_length
        growing.dropped_turns = fitted.dropped_turns
        if fitted.dropped_turns:
            self.events.emit(
                TurnsDropped(growing.message.conversation_id, growing.message.id, fitted.dropped_turns)
            )
        messages, text = prompt(prompt_messages(system_prompt, fitted.messages))
        return Submit(
            request_id=growing.request_id,
            params=params,
            messages=messages,
            text=text,
            client=growing.message.conversation_id,
        )

    def _on_output(self, growing: _Growing, output: RequestOutput) -> None:
        message = growing.message
        if output.prefilled and not output.token_ids:
            self.events.emit(
                PromptProgress(message.conversation_id, message.id, output.prefilled, growing.prompt_tokens)
            )
        if output.text:
            growing.texts.append(output.text)
            self.events.emit(AnswerGrew(message.conversation_id, message.id, output.text))
        if output.finish_reason is not None:
            self._end(growing, output.finish_reason, output.usage, output.error)

    def _on_tick(self, growing: _Growing) -> bool:
        """Store what has come since the last time; False once the answer has ended."""
        if growing.message.id not in self._growing:
            return False
        now = time.monotonic()
        if len(growing.texts) > growing.stored and now - growing.stored_at >= STORE_SECONDS:
            count = len(growing.texts)
            growing.stored_at = now
            self._conversations.write_answer(growing.message.id, growing.parts())
            growing.stored = count
        return True

    def _stop(self, growing: _Growing) -> None:
        if growing.asked:
            growing.worker.abort(growing.request_id)
        elif not growing.stopped:
            # The model still loads: nothing is lost by ending the answer now.
            growing.stopped = True
            self._end(growing, FinishReason.ABORT, None, None)

    def _end(
        self, growing: _Growing, reason: FinishReason, usage: Usage | None, error: ErrorInfo | None
    ) -> None:
        with self._lock:
            if self._growing.pop(growing.message.id, None) is None:
                return
        growing.worker.rest.release()
        message_error = None if error is None else MessageError(error.code, error.params)
        answer_usage = None if usage is None else _answer_usage(growing, reason, usage)
        try:
            message = self._conversations.finish_answer(
                growing.message.id, growing.parts(), _STATUS[reason], usage=answer_usage, error=message_error
            )
        except HearthError as failure:
            # Shown even though it cannot be kept: the person can still copy it.
            log.error("an answer could not be stored: %s", failure)
            message = msgspec.structs.replace(
                growing.message,
                parts=growing.parts(),
                status=MessageStatus.FAILED,
                error=MessageError(failure.code, failure.params),
            )
        self.events.emit(AnswerEnded(message.conversation_id, message))


def _params(settings: ConversationSettings, defaults: DefaultsSection) -> SamplingParams:
    """What the conversation sets, and the defaults for the rest."""
    chosen = {
        name: getattr(defaults, name) if (own := getattr(settings, name)) is None else own
        for name in SAMPLING_KEYS
    }
    max_tokens = defaults.max_tokens if settings.max_tokens is None else settings.max_tokens
    params = SamplingParams(**chosen, max_tokens=max_tokens or None, seed=settings.seed, stop=settings.stop)
    params.check()
    return params


def _answer_usage(growing: _Growing, reason: FinishReason, usage: Usage) -> AnswerUsage:
    return AnswerUsage(
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        generated_tokens=usage.generated_tokens,
        seconds_to_first_token=usage.seconds_to_first_token,
        seconds=usage.seconds,
        tokens_per_second=usage.tokens_per_second,
        finish_reason=reason.value,
        context_tokens=usage.prompt_tokens + usage.generated_tokens,
        context_length=growing.context_length,
        dropped_turns=growing.dropped_turns,
    )
