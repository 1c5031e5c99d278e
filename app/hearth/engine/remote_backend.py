"""Backend for a model on a server that speaks OpenAI's API: chat completions, completions and models.

What is asked goes to that server, so fronts show such a model as remote. HEARTH_OFFLINE=1 forbids it.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final

import httpx2
import msgspec

from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage, EngineOptions, ModelInfo, Submit
from hearth.engine.outputs import FinishReason
from hearth.engine.remote_server import RemoteServer, error_message
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.threaded_backend import Answer, End, Piece, Tell, ThreadedBackend
from hearth.errors import RemoteFailed, RemoteModelMissing, RequestInvalid
from hearth.i18n import tr
from hearth.model_folder.manifest import RemoteModel

# Where the server does not say how much the model reads at once.
_UNKNOWN_CONTEXT: Final = 16_384
# Servers give the length of the context under one of these names.
_CONTEXT_NAMES: Final = ("max_model_len", "context_length", "context_window", "max_context_length")
_BYTES_PER_TOKEN: Final = 3  # fewer than in most texts, so that what is counted does fit
_TOKENS_PER_MESSAGE: Final = 8
_MOST_STOP_TEXTS: Final = 4  # that the API takes


class RemoteBackend(ThreadedBackend):
    """One model of one server. Its tokens have no ids here, and prompts are counted by an estimate."""

    def __init__(self, remote: RemoteModel, name: str, key: str, options: EngineOptions) -> None:
        """Ask the server for its models.

        Raises:
            OfflineMode, RemoteFailed, RemoteRefused, RemoteModelMissing, RemoteBusy: it cannot be used.
        """
        started = time.perf_counter()
        super().__init__(name)
        self._server = RemoteServer(remote.address, key, name)
        self._remote = remote
        self._waiting: list[Answer] = []
        self._beginnings = itertools.count(1)
        self._turns: dict[str, int] = {}  # the number of the beginning that each client had last
        self._running: dict[Answer, _Connection] = {}
        self._most = options.max_slots
        context = self._context_length()
        self.info = ModelInfo(
            architecture=remote.model,
            context_length=min(filter(None, (context, options.max_context))),
            vocab_size=0,
            has_chat_template=True,
            load_seconds=time.perf_counter() - started,
            threads=0,
            max_slots=options.max_slots,
            kv_bytes_per_token=0,
            kv_cache_bytes=0,
            kv_cache_type="",
            provider=tr("{address}, remote", address=self._server.host),
            notices=(
                tr("{name} is remote: what you ask it goes to {address}.", name=name, address=remote.address),
            ),
        )

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        if messages is None:
            return -(-len((text or "").encode()) // _BYTES_PER_TOKEN)
        size = sum(len(message.content.encode()) for message in messages)
        return -(-size // _BYTES_PER_TOKEN) + _TOKENS_PER_MESSAGE * len(messages)

    def stats(self) -> dict[str, int | float]:
        return {"running": len(self._running), "open": len(self._answers), "kv_cache_bytes": 0}

    def _context_length(self) -> int:
        """What the server says, if it lists its models at all."""
        models = self._server.models()
        found = models.get(self._remote.model)
        if found is None and models:
            raise RemoteModelMissing(name=self._name, model=self._remote.model)
        said = [(found or {}).get(key) for key in _CONTEXT_NAMES]
        return next((length for length in said if isinstance(length, int) and length > 0), _UNKNOWN_CONTEXT)

    def _prepare(self, request: Submit) -> Answer:
        if request.token_ids is not None:
            raise RequestInvalid(reason=tr("a remote model takes text, not token ids"))
        body: dict[str, Any] = {
            "model": self._remote.model,
            "stream": True,
            "stream_options": {"include_usage": True},
            **remote_options(request.params),
        }
        if request.messages is None:
            body["prompt"] = request.text or ""
        else:
            body["messages"] = [{"role": one.role, "content": one.content} for one in request.messages]
        answer = Answer(request, self.count(request.messages, request.text), body)
        self._waiting.append(answer)
        return answer

    def _begin_next(self) -> None:
        while self._waiting and len(self._running) < self._most:
            answer = min(  # the first of equals
                self._waiting,
                key=lambda one: (-one.request.priority, self._turns.get(one.request.client, 0)),
            )
            self._waiting.remove(answer)
            self._turns[answer.request.client] = next(self._beginnings)
            self._running[answer] = _Connection()
            answer.interrupt = partial(self._free, answer)
            self._begin(answer)

    def _free(self, answer: Answer) -> None:
        """Nobody waits for this answer any more, or it has ended: another may begin, whatever the server does."""
        connection = self._running.pop(answer, None)
        if connection is not None:
            connection.cut()

    def _ended(self, answer: Answer) -> None:
        if answer.has_begun:
            self._running.pop(answer, None)
        else:
            self._waiting.remove(answer)

    def _write(self, answer: Answer, tell: Tell) -> End:
        connection = self._running.get(answer)
        if connection is None:  # freed before it began
            return End(FinishReason.ABORT)
        path = "completions" if answer.request.messages is None else "chat/completions"
        asked = self._server.client.stream(
            "POST", path, json=answer.body, extensions={"trace": connection.follow}
        )
        with self._server.failures(), asked as response:
            if response.status_code != httpx2.codes.OK:
                self._server.refuse(response, self._remote.model)
            return self._follow(response, tell)

    def _follow(self, response: httpx2.Response, tell: Tell) -> End:
        """Pass on what a stream of events tells, up to its end."""
        reason: FinishReason | None = None
        usage: dict[str, Any] = {}
        for event in httpx2.EventSource(response):
            if not event.data.strip():
                continue
            if event.data.strip() == "[DONE]":
                break
            chunk = self._server.decode(event.data.encode())
            if "error" in chunk:
                raise RemoteFailed(name=self._name, reason=error_message(chunk))
            usage = chunk.get("usage") or usage
            text, finished = self._first_choice(chunk)
            if text and not tell(Piece(text=text, token_ids=(-1,))):
                return End(FinishReason.ABORT)
            reason = _reason(finished) or reason
        if reason is None:
            raise RemoteFailed(name=self._name, reason=tr("its answer was cut off"))
        return End(
            reason,
            prompt_tokens=_number(usage.get("prompt_tokens")),
            generated_tokens=_number(usage.get("completion_tokens")),
        )

    def _first_choice(self, chunk: dict[str, Any]) -> tuple[str, Any]:
        choices = chunk.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(one, dict) for one in choices):
            self._server.no_answer()
        if not choices:
            return "", None
        delta = choices[0].get("delta") or {}
        text = choices[0].get("text") if "delta" not in choices[0] else delta.get("content")
        if text is not None and not isinstance(text, str):
            self._server.no_answer()
        return text or "", choices[0].get("finish_reason")


def remote_options(params: SamplingParams) -> dict[str, Any]:
    """The parameters as the API has them; those that are not OpenAI's own only where they do something.

    Raises:
        RequestInvalid: something is asked for that the API cannot do.
    """
    if params.logprobs is not None or params.logit_bias or params.stop_token_ids:
        raise RequestInvalid(reason=tr("a remote model takes no token ids and tells none"))
    body: dict[str, Any] = {"temperature": params.temperature, "top_p": params.top_p}
    for name, neutral in (
        ("presence_penalty", 0.0),
        ("frequency_penalty", 0.0),
        ("repetition_penalty", 1.0),
        ("top_k", 0),
        ("min_p", 0.0),
        ("ignore_eos", False),
        ("seed", None),
        ("max_tokens", None),
    ):
        if getattr(params, name) != neutral:
            body[name] = getattr(params, name)
    if params.stop:
        body["stop"] = list(params.stop[:_MOST_STOP_TEXTS])  # all of them are looked for here
    if params.grammar is not None:
        body["response_format"] = _response_format(params.grammar)
    return body


def _response_format(grammar: Grammar) -> dict[str, Any]:
    if grammar.json_schema is None:
        raise RequestInvalid(reason=tr("a remote model takes a JSON schema, and no other grammar"))
    try:
        schema = msgspec.json.decode(grammar.json_schema)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestInvalid(reason=tr("the JSON schema is not taken: {reason}", reason=error)) from error
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


class _Connection:
    """The connection of one answer: cut on the host's loop, while the answer's thread waits for whatever it may be.

    The server then stops writing, and the thread wakes up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def follow(self, event: str, info: dict[str, Any]) -> None:
        """Told by httpx2 what is done for a request, so that the connection is known before there is an answer."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                self._shut()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            self._shut()

    def _shut(self) -> None:
        if self._is_cut and self._socket is not None:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RDWR)


def _reason(finished: Any) -> FinishReason | None:
    if not isinstance(finished, str):
        return None
    return FinishReason.LENGTH if finished == "length" else FinishReason.STOP


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
