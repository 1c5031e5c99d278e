"""Backend for a model on a server that speaks OpenAI's API: chat completions, completions and models.

What is asked goes to that server, so fronts show such a model as remote. HEARTH_OFFLINE=1 forbids it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn

import httpx2
import msgspec

from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage, EngineOptions, ModelInfo, Submit
from hearth.engine.outputs import FinishReason
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.threaded_backend import Answer, End, Piece, Tell, ThreadedBackend
from hearth.errors import (
    HearthError,
    OfflineMode,
    RemoteBusy,
    RemoteFailed,
    RemoteModelMissing,
    RemoteRefused,
    RequestInvalid,
)
from hearth.i18n import tr
from hearth.model_folder.manifest import RemoteModel
from hearth.offline import is_offline

_TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0, read=300.0)
_LOOK_SECONDS: Final = 10.0
# Where the server does not say how much the model reads at once.
_UNKNOWN_CONTEXT: Final = 16_384
# Servers give the length of the context under one of these names.
_CONTEXT_NAMES: Final = ("max_model_len", "context_length", "context_window", "max_context_length")
_BYTES_PER_TOKEN: Final = 3  # fewer than in most texts, so that what is counted does fit
_TOKENS_PER_MESSAGE: Final = 8
_MOST_STOP_TEXTS: Final = 4  # that the API takes
_MOST_LISTING_BYTES: Final = 8 << 20


class RemoteBackend(ThreadedBackend):
    """One model of one server. Its tokens have no ids here, and prompts are counted by an estimate."""

    def __init__(self, remote: RemoteModel, name: str, key: str, options: EngineOptions) -> None:
        """Ask the server for its models.

        Raises:
            OfflineMode, RemoteFailed, RemoteRefused, RemoteModelMissing, RemoteBusy: it cannot be used.
        """
        started = time.perf_counter()
        super().__init__(name)
        if is_offline():
            raise OfflineMode(name=name)
        self._remote = remote
        self._waiting: list[Answer] = []
        self._running = 0
        self._most = options.max_slots
        try:
            self._client = httpx2.Client(
                base_url=remote.address.rstrip("/") + "/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=_TIMEOUT,
                follow_redirects=False,  # the key is for this server alone
            )
        except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
            raise RemoteFailed(name=name, reason=tr("its address or its key is not valid")) from error
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
            provider=tr("{address}, remote", address=self._client.base_url.host),
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
        return {"running": self._running, "open": len(self._answers), "kv_cache_bytes": 0}

    def _context_length(self) -> int:
        """What the server says, if it lists its models at all."""
        with self._failures():
            response = self._client.get("models", timeout=_LOOK_SECONDS)
            if response.status_code in (404, 405, 501):
                return _UNKNOWN_CONTEXT
            if response.status_code != httpx2.codes.OK:
                self._refuse(response)
            if len(response.content) > _MOST_LISTING_BYTES:
                raise RemoteFailed(name=self._name, reason=tr("what it sends is too long"))
            listed = self._decode(response.content).get("data")
        if not isinstance(listed, list):
            return _UNKNOWN_CONTEXT
        models = {str(one.get("id")): one for one in listed if isinstance(one, dict)}
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
        while self._waiting and self._running < self._most:
            answer = max(self._waiting, key=lambda one: one.request.priority)  # the first of equals
            self._waiting.remove(answer)
            self._running += 1
            self._begin(answer)

    def _ended(self, answer: Answer) -> None:
        if answer.has_begun:
            self._running -= 1
        else:
            self._waiting.remove(answer)

    def _write(self, answer: Answer, tell: Tell) -> End:
        path = "completions" if answer.request.messages is None else "chat/completions"
        with self._failures(), self._client.stream("POST", path, json=answer.body) as response:
            _interrupt_by_closing(answer, response)
            if not answer.is_wanted.is_set():
                return End(FinishReason.ABORT)
            if response.status_code != httpx2.codes.OK:
                response.read()
                self._refuse(response)
            return self._follow(answer, response, tell)

    def _follow(self, answer: Answer, response: httpx2.Response, tell: Tell) -> End:
        """Pass on what a stream of events tells, up to its end."""
        reason: FinishReason | None = None
        usage: dict[str, Any] = {}
        try:
            for event in httpx2.EventSource(response):
                if not event.data.strip():
                    continue
                if event.data.strip() == "[DONE]":
                    break
                chunk = self._decode(event.data.encode())
                if "error" in chunk:
                    raise RemoteFailed(name=self._name, reason=_message(chunk))
                usage = chunk.get("usage") or usage
                text, finished = self._first_choice(chunk)
                if text and not tell(Piece(text=text, token_ids=(-1,))):
                    return End(FinishReason.ABORT)
                reason = _reason(finished) or reason
        except httpx2.TransportError:
            if not answer.is_wanted.is_set():
                return End(FinishReason.ABORT)  # closed by `interrupt`
            raise
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
            self._no_answer()
        if not choices:
            return "", None
        delta = choices[0].get("delta") or {}
        text = choices[0].get("text") if "delta" not in choices[0] else delta.get("content")
        if text is not None and not isinstance(text, str):
            self._no_answer()
        return text or "", choices[0].get("finish_reason")

    def _decode(self, data: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self._no_answer()

    def _no_answer(self) -> NoReturn:
        raise RemoteFailed(name=self._name, reason=tr("what it sends is not of OpenAI's API"))

    def _refuse(self, response: httpx2.Response) -> NoReturn:
        """The error for an answer that is none."""
        status = response.status_code
        message = ""
        with suppress(RemoteFailed):
            message = _message(self._decode(response.content))
        if status in (401, 403):
            raise RemoteRefused(name=self._name)
        if status == 404:
            raise RemoteModelMissing(name=self._name, model=self._remote.model)
        if status == 429:
            raise RemoteBusy(name=self._name, seconds=_retry_after(response.headers.get("Retry-After", "")))
        if status in (400, 413, 422) and message:
            raise RequestInvalid(reason=message)
        reason = tr("HTTP status {status}", status=status)
        raise RemoteFailed(name=self._name, reason=f"{reason}, {message}" if message else reason)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """What goes wrong on the way, as one line."""
        try:
            yield
        except HearthError:
            raise
        except httpx2.TimeoutException as error:
            raise RemoteFailed(name=self._name, reason=tr("it took too long")) from error
        except httpx2.ConnectError as error:
            raise RemoteFailed(
                name=self._name, reason=tr("no connection ({detail})", detail=error)
            ) from error
        except (httpx2.RemoteProtocolError, httpx2.ReadError) as error:
            raise RemoteFailed(name=self._name, reason=tr("its answer was cut off")) from error
        except (httpx2.SSEError, UnicodeDecodeError):
            self._no_answer()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise RemoteFailed(name=self._name, reason=reason) from error


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


def _interrupt_by_closing(answer: Answer, response: httpx2.Response) -> None:
    """Let the connection be cut from another thread: the server stops writing, and the thread that reads wakes up."""
    connection = response.extensions["network_stream"].get_extra_info("socket")

    def interrupt() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    answer.interrupt = interrupt


def _reason(finished: Any) -> FinishReason | None:
    if not isinstance(finished, str):
        return None
    return FinishReason.LENGTH if finished == "length" else FinishReason.STOP


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _message(body: dict[str, Any]) -> str:
    """The server's own words, on one line."""
    error = body.get("error", body.get("detail", body.get("message", "")))
    text = error.get("message", "") if isinstance(error, dict) else error
    lines = str(text).strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else "?"


def _retry_after(value: str) -> int:
    """Seconds, from a number or a date."""
    with suppress(ValueError):
        return max(1, int(value))
    with suppress(ValueError, TypeError):
        return max(1, round((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()))
    return 60
