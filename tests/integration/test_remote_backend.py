"""Remote models against a real server on this machine: answers, cancelling, and everything that can go wrong."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage, EngineOptions, Submit
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.remote_backend import RemoteBackend
from hearth.engine.remote_server import RemoteServer
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import (
    HearthError,
    OfflineMode,
    RemoteBusy,
    RemoteFailed,
    RemoteModelMissing,
    RemoteRefused,
    RequestInvalid,
)
from hearth.model_folder.manifest import RemoteModel

OPTIONS = EngineOptions(threads=1, kv_cache_bytes=1 << 20)
MODELS = {"data": [{"id": "big", "max_model_len": 4096}]}
ASK = [ChatMessage("user", "Hello")]


def event(value: Any) -> bytes:
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"


def said(text: str, finish: str | None = None) -> bytes:
    return event({"choices": [{"delta": {"content": text}, "finish_reason": finish}]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
DONE = event(b"[DONE]")


class Server(ThreadingHTTPServer):
    """Answers as the test says.

    Attributes:
        write: writes the answer to a POST.
        asked: paths and bodies that came, with the key.
        cut: set when a client closed its connection while the server wrote.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.write: Callable[[Handler], None] = lambda handler: handler.stream(said("Hi", "stop"), DONE)
        self.models: tuple[int, Any] = (200, MODELS)
        self.asked: list[tuple[str, Any, str]] = []
        self.cut = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body = self.server.models
        self.reply(status, json.dumps(body).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization", "")))
        self.server.write(self)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, *pieces: bytes, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def backend(
    server: Server, key: str = "", model: str = "big", options: EngineOptions = OPTIONS
) -> RemoteBackend:
    return RemoteBackend(RemoteModel(address=server.address, model=model), "far", key, options)


def ask(remote: RemoteBackend, **params: Any) -> list[RequestOutput]:
    remote.submit(Submit(request_id="r", params=SamplingParams(**params), messages=ASK))
    outputs: list[RequestOutput] = []
    while remote.has_work:
        outputs += remote.step()
    return outputs


def text(outputs: list[RequestOutput]) -> str:
    return "".join(output.text for output in outputs)


def error(outputs: list[RequestOutput]) -> HearthError:
    assert outputs[-1].finish_reason is FinishReason.ERROR
    assert outputs[-1].error is not None
    failed = outputs[-1].error.error()
    assert "\n" not in str(failed)
    return failed


def test_an_answer_comes_piece_by_piece_with_its_cost(server: Server) -> None:
    server.write = lambda handler: handler.stream(said("Hel"), said("lo"), said("", "stop"), USAGE, DONE)
    remote = backend(server, "secret")
    outputs = ask(remote, temperature=0.5, seed=3, max_tokens=10, stop=("x",))
    assert [output.text for output in outputs if output.text] == ["Hel", "lo"]
    assert outputs[-1].finish_reason is FinishReason.STOP
    usage = outputs[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.generated_tokens) == (9, 2)
    path, body, key = server.asked[0]
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["temperature"], body["seed"], body["max_tokens"], body["stop"]) == (0.5, 3, 10, ["x"])
    assert "top_k" not in body, "what only some servers take is not sent for nothing"
    assert remote.info.context_length == 4096
    assert server.address in remote.info.notices[0], "nobody takes it for one of this machine"


def test_raw_text_is_continued(server: Server) -> None:
    server.write = lambda handler: handler.stream(
        event({"choices": [{"text": " upon", "finish_reason": "length"}]}), DONE
    )
    remote = backend(server)
    remote.submit(Submit(request_id="r", params=SamplingParams(), text="Once"))
    outputs: list[RequestOutput] = []
    while remote.has_work:
        outputs += remote.step()
    assert text(outputs) == " upon"
    assert outputs[-1].finish_reason is FinishReason.LENGTH
    assert server.asked[0][:2] == ("/v1/completions", server.asked[0][1])
    assert server.asked[0][2] == "", "no key, no header"


def test_a_stop_text_ends_the_answer_wherever_it_is_cut(server: Server) -> None:
    server.write = lambda handler: handler.stream(said("one st"), said("op two"), said("", "stop"), DONE)
    assert text(ask(backend(server), stop=("stop",))) == "one "


def test_an_abort_closes_the_connection(server: Server) -> None:
    def endless(handler: Handler) -> None:
        handler.stream(said("a"))
        try:
            while handler.connection.recv(1):
                pass
        except OSError:
            pass
        server.cut.set()

    server.write = endless
    remote = backend(server)
    remote.submit(Submit(request_id="r", params=SamplingParams(), messages=ASK))
    heard: list[RequestOutput] = []
    while not heard:
        heard += remote.step()
    ended = remote.abort("r")
    assert ended is not None
    assert ended.finish_reason is FinishReason.ABORT
    assert server.cut.wait(30)
    server.write = lambda handler: handler.stream(said("next", "stop"), DONE)
    assert text(ask(remote)) == "next"


def test_an_abort_before_the_server_says_anything_frees_its_place_at_once(server: Server) -> None:
    asked = threading.Event()

    def silent(handler: Handler) -> None:
        asked.set()
        while handler.connection.recv(1):
            pass
        server.cut.set()

    server.write = silent
    remote = backend(server, options=EngineOptions(threads=1, kv_cache_bytes=1 << 20, max_slots=1))
    remote.submit(Submit(request_id="first", params=SamplingParams(), messages=ASK))
    assert asked.wait(30)
    server.write = lambda handler: handler.stream(said("next", "stop"), DONE)
    remote.submit(Submit(request_id="second", params=SamplingParams(), messages=ASK))
    assert remote.stats()["running"] == 1
    assert remote.abort("first") is not None
    assert remote.stats()["running"] == 0
    outputs: list[RequestOutput] = []
    while remote.has_work:
        outputs += remote.step()
    assert text(outputs) == "next"
    assert server.cut.wait(30), "the server, too, is told that nobody waits"


def test_clients_that_wait_take_turns(server: Server) -> None:
    remote = backend(server, options=EngineOptions(threads=1, kv_cache_bytes=1 << 20, max_slots=1))
    for name, client, priority in (
        ("1", "a", 0),
        ("2", "a", 0),
        ("3", "a", 0),
        ("4", "b", 0),
        ("5", "b", 0),
        ("6", "a", 1),
    ):
        messages = [ChatMessage("user", name)]
        remote.submit(
            Submit(
                request_id=name, params=SamplingParams(), messages=messages, client=client, priority=priority
            )
        )
    while remote.has_work:
        remote.step()
    assert [body["messages"][0]["content"] for _, body, _ in server.asked] == list("164253")


def test_no_answer_shares_its_connection_so_that_cutting_one_cuts_no_other(server: Server) -> None:
    ports: list[int] = []

    def keep_open(handler: Handler) -> None:
        ports.append(handler.client_address[1])
        handler.reply(200, said("Hi", "stop"), Content_Type="text/event-stream", Connection="keep-alive")

    server.write = keep_open
    remote = backend(server)
    assert [text(ask(remote)) for _ in range(2)] == ["Hi", "Hi"]
    assert len(set(ports)) == 2


def test_of_an_error_without_end_only_the_beginning_is_read(server: Server) -> None:
    sent: list[int] = []

    def endless(handler: Handler) -> None:
        handler.send_response(500)
        handler.end_headers()
        try:
            sent.extend(handler.wfile.write(b" " * (1 << 20)) for _ in range(256))
        finally:
            server.cut.set()

    server.write = endless
    assert isinstance(error(ask(backend(server))), RemoteFailed)
    assert server.cut.wait(30)
    assert len(sent) < 128, "of 256 MB"


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (401, {}, RemoteRefused),
        (403, {}, RemoteRefused),
        (404, {}, RemoteModelMissing),
        (429, {"Retry_After": "17"}, RemoteBusy),
        (429, {"Retry_After": "soon"}, RemoteBusy),
        (400, {}, RequestInvalid),
        (500, {}, RemoteFailed),
        (302, {"Location": "http://127.0.0.1:9/"}, RemoteFailed),
    ],
)
def test_a_refusal_is_one_clear_line(
    server: Server, status: int, headers: dict[str, str], kind: type[HearthError]
) -> None:
    body = json.dumps({"error": {"message": "it is so.\nAnd more"}}).encode()
    server.write = lambda handler: handler.reply(status, body, **headers)
    failed = error(ask(backend(server)))
    assert type(failed) is kind
    if headers.get("Retry_After") == "17":
        assert "17 seconds" in str(failed)
    if kind in (RequestInvalid, RemoteFailed):
        assert "it is so" in str(failed)
        assert "And more" not in str(failed)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"data: {not json\n\n",),
        (b"data: [1, 2]\n\n",),
        (event({"choices": "none"}),),
        (event({"choices": [{"delta": {"content": 7}}]}),),
        (event({"error": {"message": "out of memory"}}),),
        (b"\xff\xfe\xfd\n\n",),
        (b"data: " + b"[" * 100_000 + b"\n\n",),
        (said("half"),),
        (),
    ],
)
def test_a_stream_that_is_none_or_is_cut_is_one_clear_line(server: Server, pieces: tuple[bytes, ...]) -> None:
    server.write = lambda handler: handler.stream(*pieces)
    assert isinstance(error(ask(backend(server))), RemoteFailed)


def test_what_is_no_stream_of_events_is_refused(server: Server) -> None:
    server.write = lambda handler: handler.stream(b"<html>", kind="text/html")
    assert isinstance(error(ask(backend(server))), RemoteFailed)


def test_comments_and_empty_events_are_passed_over(server: Server) -> None:
    server.write = lambda handler: handler.stream(b": ping\n\n", b"data:\n\n", said("Hi", "stop"), DONE)
    assert text(ask(backend(server))) == "Hi"


def test_a_wrong_key_or_model_is_told_when_it_is_loaded(server: Server) -> None:
    with pytest.raises(RemoteModelMissing, match="no model “small”"):
        backend(server, model="small")
    server.models = (401, {})
    with pytest.raises(RemoteRefused):
        backend(server)
    server.models = (404, {})
    assert backend(server).info.context_length > 0, "not every server lists its models"
    server.models = (200, {"data": [{"id": None}, {"object": "model"}]})
    assert RemoteServer(server.address, "", "far").models() == {}, "what has no name cannot be asked for"
    server.models = (200, ["what"])
    with pytest.raises(RemoteFailed):
        backend(server)


def test_nobody_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(RemoteFailed, match="no connection"):
        RemoteBackend(RemoteModel(address=address, model="m"), "far", "", OPTIONS)


def test_offline_mode_asks_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_OFFLINE", "1")
    with pytest.raises(OfflineMode):
        backend(server)


def test_what_the_api_cannot_do_is_refused(server: Server) -> None:
    remote = backend(server)
    for params in (
        SamplingParams(logprobs=1),
        SamplingParams(logit_bias={1: 1.0}),
        SamplingParams(grammar=Grammar(regex="a")),
    ):
        with pytest.raises(RequestInvalid):
            remote.submit(Submit(request_id="x", params=params, messages=ASK))
    with pytest.raises(RequestInvalid):
        remote.submit(Submit(request_id="x", params=SamplingParams(), token_ids=[1]))
    assert not remote.has_work
    ask(remote, grammar=Grammar(json_schema='{"type": "object"}'))
    assert server.asked[0][1]["response_format"]["json_schema"]["schema"] == {"type": "object"}
