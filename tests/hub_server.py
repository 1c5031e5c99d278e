"""A model hub on this machine: a real HTTP server that speaks the hub's API, and fails as it is told.

Two ports, as the hub has it: one answers the API and `resolve`, and sends whoever wants a large file to the other, whose
addresses are signed. Everything that was asked for and sent is kept, so that a test can look at it.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

LARGE = 1000  # bytes from which on a file is large, and lies on the other port
PAGE = 4  # files on a page of a repository's tree


@dataclass
class HubRepository:
    """A repository with one commit; its files do not change.

    Attributes:
        gated: only for tokens that are in `accepted`.
        private: not there for anybody whose token is not in `accepted`.
    """

    files: dict[str, bytes]
    config: dict[str, Any] = field(default_factory=dict)
    licence: str = "apache-2.0"
    gated: bool = False
    private: bool = False
    accepted: set[str] = field(default_factory=set)

    @cached_property
    def commit(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Attributes:
        status: an error instead of the answer, with `headers`.
        cut: so many bytes of the body, then the connection is gone.
        reset: rudely, so that even what was sent may be lost.
        change: what becomes of the body, whose announced length stays.
        length: added to every length that is announced.
        no_range: the whole file, whatever was asked for.
        unsized: no length is announced at all, and the end is the end of the connection.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    change: Callable[[bytes], bytes] | None = None
    length: int = 0
    no_range: bool = False
    unsized: bool = False


@dataclass(frozen=True)
class Asked:
    """A request for a file, or for a part of it."""

    path: str
    start: int
    end: int


class HubServer:
    """Use it as a context manager.

    Attributes:
        fault: asked at each answer, with "api", "resolve" or "content", the path and the first byte.
        asked: for content, in order.
        sent: bytes of content.
        content_tokens: Authorization headers that came to the port of large files; there should be none.
        pace: seconds between pieces of 16 kB.
        on_sent: called when content was sent, with all bytes so far.
        before_piece: called before each piece of content; what it waits for keeps the piece back.
    """

    def __init__(self, repositories: Mapping[str, HubRepository]) -> None:
        self.repositories = dict(repositories)
        self.tokens: dict[str, str] = {}
        self.fault: Callable[[str, str, int], Fault | None] = lambda _kind, _path, _start: None
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.asked: list[Asked] = []
        self.content_tokens: list[str] = []
        self.sent = 0
        self.pace = 0.0
        self.on_sent: Callable[[int], None] = lambda _sent: None
        self.before_piece: Callable[[], None] = lambda: None
        self.lock = threading.Lock()
        self._servers = [_Server(self, kind) for kind in (_Hub, _Content)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def content_endpoint(self) -> str:
        # Another host, so that a client must not tell it the token.
        return f"http://localhost:{self._servers[1].server_port}"

    @contextmanager
    def holding(self, after: int = 0) -> Iterator[threading.Event]:
        """Meanwhile no more than so many bytes of content are sent in all, but for a piece on each other connection.

        The event says that the next piece is kept back.
        """
        waits, go = threading.Event(), threading.Event()

        def hold() -> None:
            if self.sent >= after:
                waits.set()
                go.wait()

        self.before_piece = hold
        try:
            yield waits
        finally:
            self.before_piece = lambda: None
            go.set()

    def __enter__(self) -> Self:
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def random_faults(seed: int, share: float) -> Callable[[str, str, int], Fault | None]:
    """So large a share of answers fails, each in one of many ways; the same for the same seed."""
    counts: dict[tuple[str, str, int], int] = {}
    lock = threading.Lock()

    def fault(kind: str, path: str, start: int) -> Fault | None:
        with lock:
            number = counts[kind, path, start] = counts.get((kind, path, start), 0) + 1
        dice = random.Random(f"{seed} {kind} {path} {start} {number}")
        if dice.random() >= share:
            return None
        common = [
            Fault(429, {"Retry-After": "0"}),
            Fault(429, {"ratelimit": '"api";r=0;t=0'}),
            Fault(dice.choice([408, 500, 502, 503, 504])),
            Fault(cut=0, reset=dice.random() < 0.5),
            Fault(cut=dice.randrange(2000), reset=dice.random() < 0.5),
        ]
        if kind == "api":
            return dice.choice(
                [*common, Fault(change=lambda body: body[: len(body) // 2]), Fault(unsized=True)]
            )
        return dice.choice(
            [
                *common,
                Fault(no_range=True),
                Fault(unsized=True, cut=dice.randrange(2000)),
                Fault(length=dice.choice([-7, 7, 10**6])),
                Fault(change=lambda body: body[:-1] + bytes([body[-1] ^ 1]) if body else body),
            ]
        )

    return fault


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, hub: HubServer, handler: type[_Handler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.hub = hub

    def handle_error(self, *_: object) -> None:
        """A client that went away is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    @property
    def hub(self) -> HubServer:
        return self.server.hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with self.hub.lock:
            self.hub.requests.append(self.path)
            self.hub.agents.add(self.headers.get("User-Agent", ""))
        self.answer()

    def answer(self) -> None:
        raise NotImplementedError

    def send(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        fault = fault or Fault()
        if fault.status:
            status, body, headers, fault = fault.status, b"{}", fault.headers, Fault()
        sent = body if fault.change is None else fault.change(body)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if fault.unsized:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body) + fault.length))
        self.end_headers()
        if self.command != "HEAD":
            self.body(sent if fault.cut is None else sent[: fault.cut])
        if fault.unsized or fault.cut is not None or fault.change is not None or fault.length:
            self.hang_up(fault.reset)

    def body(self, data: bytes) -> None:
        self.wfile.write(data)

    def hang_up(self, rudely: bool) -> None:
        self.close_connection = True
        if rudely:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def send_file(self, kind: str, path: str, data: bytes, headers: Mapping[str, str]) -> None:
        """All of it, or the range that was asked for."""
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(match[1]) if match else 0
        end = min(int(match[2]) + 1 if match and match[2] else len(data), len(data))
        with self.hub.lock:
            self.hub.asked.append(Asked(path, start, end))
        fault = self.hub.fault(kind, path, start)
        if match is None or (fault is not None and fault.no_range):
            self.send(200, data, headers, fault)
        elif start >= len(data):
            self.send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            total = len(data) + (fault.length if fault is not None else 0)
            content_range = {"Content-Range": f"bytes {start}-{end - 1}/{total}"}
            self.send(206, data[start:end], {**headers, **content_range}, fault)


class _Hub(_Handler):
    """The API, and the way to files."""

    def answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        query = parse_qs(address.query)
        if path == "/api/whoami-v2":
            self._who()
        elif path == "/api/models":
            self._search(query)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._with(match[1], match[2] or "main", self._info)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            self._with(match[1], match[2], lambda name, one: self._tree(name, one, query))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._with(match[1], match[2], lambda name, one: self._resolve(name, one, match[3]))
        else:
            self.send(404)

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _with(self, name: str, revision: str, answer: Callable[[str, HubRepository], None]) -> None:
        """Answer for a repository, unless whoever asks may not have it."""
        found = next((known for known in self.hub.repositories if known.lower() == name.lower()), None)
        one = self.hub.repositories[found] if found else None
        accepted = one is not None and self.token in one.accepted
        if self.token and self.token not in self.hub.tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif one is None or (one.private and not accepted):
            status = 404 if self.token else 401
            message = "Repository not found" if self.token else "Invalid username or password."
            self._refuse(status, "RepoNotFound" if self.token else "", message)
        elif revision not in ("main", one.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif one.gated and not accepted and "/resolve/" in self.path:
            self._refuse(403 if self.token else 401, "GatedRepo", "Access is restricted.")
        else:
            answer(found or name, one)

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.send(status, json.dumps({"error": message}).encode(), headers)

    def _json(self, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        self.send(200, body, headers, self.hub.fault("api", self.path, 0))

    def _who(self) -> None:
        if self.token in self.hub.tokens:
            self._json({"type": "user", "name": self.hub.tokens[self.token]})
        else:
            self._refuse(401, "", "Invalid credentials in Authorization header")

    def _search(self, query: Mapping[str, list[str]]) -> None:
        words = query.get("search", [""])[0].lower().split()
        found = [
            _about(name, one)
            for name, one in self.hub.repositories.items()
            if all(word in name.lower() for word in words) and not one.private
        ]
        self._json(found[: int(query.get("limit", ["100"])[0])])

    def _info(self, name: str, one: HubRepository) -> None:
        self._json({**_about(name, one), "sha": one.commit, "cardData": {"license": one.licence}})

    def _tree(self, name: str, one: HubRepository, query: Mapping[str, list[str]]) -> None:
        entries = [_entry(path, data) for path, data in sorted(one.files.items())]
        entries += [
            {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            for folder in sorted({path.rpartition("/")[0] for path in one.files} - {""})
        ]
        first = int(query.get("cursor", ["0"])[0])
        headers = {}
        if first + PAGE < len(entries):
            address = f"{self.hub.endpoint}/api/models/{name}/tree/{one.commit}?recursive=True"
            headers["Link"] = f'<{address}&cursor={first + PAGE}>; rel="next"'
        self._json(entries[first : first + PAGE], headers)

    def _resolve(self, name: str, one: HubRepository, path: str) -> None:
        data = one.files.get(path)
        if data is None:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        headers = {"X-Repo-Commit": one.commit}
        if len(data) < LARGE:
            self.send_file("resolve", path, data, {**headers, "ETag": f'"{_git_oid(data)}"'})
            return
        oid = hashlib.sha256(data).hexdigest()
        headers |= {
            "X-Linked-Etag": f'"{oid}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"{self.hub.content_endpoint}/{oid}?name={quote(name)}&path={quote(path)}&signature={oid[:8]}",
        }
        self.send(302, b"", headers, self.hub.fault("resolve", path, 0))


class _Content(_Handler):
    """Large files, for whoever has an address that is signed."""

    def answer(self) -> None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        oid = address.path.strip("/")
        if "Authorization" in self.headers:
            self.hub.content_tokens.append(self.headers["Authorization"])
        if query.get("signature") != [oid[:8]]:
            self.send(403)
            return
        one = self.hub.repositories[query["name"][0]]
        self.send_file("content", query["path"][0], one.files[query["path"][0]], {"ETag": f'"{oid}"'})

    def body(self, data: bytes) -> None:
        for start in range(0, len(data), 1 << 14):
            piece = data[start : start + (1 << 14)]
            self.hub.before_piece()
            self.wfile.write(piece)
            with self.hub.lock:
                self.hub.sent += len(piece)
                sent = self.hub.sent
            self.hub.on_sent(sent)
            if self.hub.pace:
                time.sleep(self.hub.pace)


def _about(name: str, one: HubRepository) -> dict[str, Any]:
    return {
        "id": name,
        "config": one.config,
        "gated": "manual" if one.gated else False,
        "private": one.private,
        "downloads": 42,
        "siblings": [{"rfilename": path} for path in sorted(one.files)],
    }


def _entry(path: str, data: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _git_oid(data)}
    if len(data) >= LARGE:
        oid = hashlib.sha256(data).hexdigest()
        entry |= {"lfs": {"oid": oid, "size": len(data), "pointerSize": 134}, "xetHash": oid}
    return entry


def _git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
