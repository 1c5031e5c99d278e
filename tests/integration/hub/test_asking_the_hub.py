"""What the hub is asked: names, lists, gates, tokens and search; and what comes of it when it is away, busy or hostile."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from hearth.errors import (
    FileNotChosen,
    FileNotFound,
    HubBusy,
    HubFailed,
    HubOffline,
    HubUnreachable,
    RepositoryGated,
    RepositoryNameInvalid,
    RepositoryNotFound,
    RepositoryUnfit,
    RevisionNotFound,
    TokenRefused,
)
from hearth.models.hub.choices import choose
from hearth.models.hub.session import session
from hearth.models.registry import ModelRegistry
from hearth.services.downloads import Downloads
from hearth.services.hub import look, search
from hub_repositories import CHECKPOINT, GENAI, GGUF, PIECE, pull, queue
from hub_server import Fault, HubRepository, HubServer


def test_search_finds_what_hearth_can_use_with_files_and_sizes(server: HubServer) -> None:
    server.repositories["org/small-other"] = HubRepository(
        {"model.safetensors": b"x"}, config={"model_type": "bert"}
    )
    found = {one.repository: one for one in search("small")}
    assert set(found) == {GENAI, CHECKPOINT, GGUF}
    assert [(model.name, model.bytes) for model in found[GGUF].models] == [
        ("q8/small-q8_0-00001-of-00002.gguf", 4 * PIECE),
        ("small-q4_k_m.gguf", 2 * PIECE),
    ]
    assert [one.value for one in found[CHECKPOINT].formats] == ["safetensors"]


def test_which_of_several_models_is_said_by_the_person(server: HubServer) -> None:
    offer = look(GGUF)
    with pytest.raises(FileNotChosen, match=r"q8/small-q8_0-00001-of-00002\.gguf, small-q4_k_m\.gguf"):
        choose(GGUF, offer.choices)
    with pytest.raises(FileNotFound, match="small-q4_k_m"):
        choose(GGUF, offer.choices, "*q5*")


def test_a_server_that_asks_to_wait_is_waited_for(server: HubServer, models: ModelRegistry) -> None:
    busy = iter([Fault(429, {"Retry-After": "1"})])
    server.fault = lambda kind, _path, _start: next(busy, None) if kind == "api" else None
    waited: list[float] = []
    look(GENAI, wait=waited.append)
    assert waited == [1.0]


@pytest.mark.parametrize(
    "name",
    ["../org/name", "org/../name", "org\\name", "/etc/passwd", "org/na me", "a/b/c", "", "org/name.git"],
)
def test_a_name_that_is_none_is_refused_before_anything_is_asked(server: HubServer, name: str) -> None:
    with pytest.raises(RepositoryNameInvalid):
        look(name)
    assert server.requests == []


@pytest.mark.parametrize(
    "path", ["../../x", "/x", "a\\b", "con.json", "b/.", "b.", "a:b", "GENAI_CONFIG.json"]
)
def test_a_file_name_that_leads_elsewhere_is_refused(server: HubServer, path: str) -> None:
    server.repositories["org/evil"] = HubRepository({"a/genai_config.json": b"{}", f"a/{path}": b"evil"})
    with pytest.raises(HubFailed, match="it lists a file"):
        look("org/evil")


def test_the_next_page_of_a_list_at_another_host_gets_no_token(server: HubServer) -> None:
    heard: list[str | None] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        Thread(target=elsewhere.serve_forever, daemon=True).start()
        for address in (f"http://127.0.0.1:{elsewhere.server_port}/api", f"{server.endpoint}/api/whoami-v2"):
            session().get(address, headers={"Authorization": "Bearer good"})
        elsewhere.shutdown()
    assert heard == [None]


def test_offline_refuses_before_any_connection(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, GENAI)
    asked = len(server.requests)
    monkeypatch.setenv("HEARTH_OFFLINE", "1")
    for action in (lambda: look(GENAI), lambda: search("small"), lambda: downloads.run(download)):
        with pytest.raises(HubOffline, match="HEARTH_OFFLINE"):
            action()
    assert len(server.requests) == asked


def test_who_is_not_let_in_is_told_what_to_do(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tokens |= {"known": "somebody", "accepted": "member"}
    files = server.repositories[GENAI].files
    server.repositories["org/gated"] = HubRepository(files, gated=True, accepted={"accepted"})
    server.repositories["org/secret"] = HubRepository(files, private=True, accepted={"accepted"})
    for token, name, error in [
        ("", "org/gated", RepositoryGated),
        ("known", "org/gated", RepositoryGated),
        ("", "org/secret", RepositoryNotFound),
        ("known", "org/secret", RepositoryNotFound),
        ("stale", "org/secret", TokenRefused),
        ("", "org/vanished", RepositoryNotFound),
    ]:
        monkeypatch.setenv("HEARTH_HUB_TOKEN", token)
        with pytest.raises(error):
            pull(models, name)
    monkeypatch.setenv("HEARTH_HUB_TOKEN", "accepted")
    assert pull(models, "org/gated", name="gated").name == "gated"
    assert pull(models, "org/secret", name="secret").name == "secret"


def test_a_revision_that_is_not_there(server: HubServer) -> None:
    with pytest.raises(RevisionNotFound, match="v9"):
        look(GENAI, "v9")


def test_what_hearth_cannot_use_is_refused_before_it_is_fetched(server: HubServer) -> None:
    server.repositories["org/other"] = HubRepository(
        {"config.json": b"{}", "model.safetensors": b"x"}, config={"model_type": "mamba"}
    )
    with pytest.raises(RepositoryUnfit, match="mamba"):
        look("org/other")
    server.repositories["org/empty"] = HubRepository({"README.md": b"x"})
    with pytest.raises(RepositoryUnfit, match="no GGUF file"):
        look("org/empty")


def test_a_server_that_is_not_there(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubUnreachable, match="127"):
        look(GENAI)
    monkeypatch.setenv("HF_ENDPOINT", "mirror.example")
    with pytest.raises(HubUnreachable, match=r"mirror\.example"):
        look(GENAI)


def test_a_server_that_stays_busy(server: HubServer) -> None:
    server.fault = lambda _kind, _path, _start: Fault(429, {"Retry-After": "3600"})
    with pytest.raises(HubBusy, match="3600"):
        look(GENAI)
