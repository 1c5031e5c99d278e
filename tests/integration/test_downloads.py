"""Models fetched from a hub that runs here: what arrives, what is kept, what is said when something is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from disks import small_disk
from hearth.errors import (
    DiskFull,
    DownloadNotFound,
    DownloadRoom,
    DownloadStopped,
    FileNotAsListed,
    FileNotChosen,
    FileNotFound,
    HubBusy,
    HubFailed,
    HubOffline,
    HubUnreachable,
    InstallDamaged,
    ModelFileInvalid,
    ModelNameTaken,
    RepositoryGated,
    RepositoryNameInvalid,
    RepositoryNotFound,
    RepositoryUnfit,
    RevisionNotFound,
    TokenRefused,
)
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.choices import choose
from hearth.models.hub.download_folder import DownloadFolder
from hearth.models.hub.fetch import CONNECTIONS
from hearth.models.hub.patience import Patience
from hearth.models.hub.session import session
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.services.download_events import DownloadDone, DownloadEvent, DownloadState, DownloadStatus
from hearth.services.downloads import Downloads
from hearth.services.hearth import Hearth
from hearth.services.hub import look, search
from hub_repositories import (
    CHECKPOINT,
    GENAI,
    GGUF,
    PIECE,
    contents,
    pull,
    queue,
    small_repositories,
)
from hub_server import Fault, HubRepository, HubServer, random_faults


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HubRepository]:
    return small_repositories(tmp_path_factory.mktemp("hub") / "model")


@pytest.fixture
def server(repositories: dict[str, HubRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        for name in (
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
            "HEARTH_OFFLINE",
            "HEARTH_HUB_TOKEN",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("hearth.models.hub.fetch.PIECE_BYTES", PIECE)
        monkeypatch.setattr(
            "hearth.models.hub.client.PATIENCE", Patience(first_seconds=0.001, longest_seconds=0.01)
        )
        yield server


@pytest.fixture
def models(hearth_home: Path) -> ModelRegistry:
    return ModelRegistry(hearth_home / "models")


def in_folder(repository: HubRepository, folder: str) -> dict[str, bytes]:
    return {
        path.removeprefix(folder): data for path, data in repository.files.items() if path.startswith(folder)
    }


def leftovers(models: ModelRegistry) -> list[str]:
    return sorted(path.name for path in models.root.iterdir()) if models.root.exists() else []


# What arrives


def test_a_model_folder_is_listed_when_it_is_whole(server: HubServer, models: ModelRegistry) -> None:
    entry = pull(models, GENAI)
    assert isinstance(entry, ModelEntry)
    assert contents(entry.path) == in_folder(server.repositories[GENAI], "cpu/int4/")
    assert [model.name for model in models.list()] == ["small-onnx"]
    assert entry.manifest.source == f"{server.endpoint}/{GENAI}"
    assert entry.manifest.revision == server.repositories[GENAI].commit
    assert entry.manifest.licence == "apache-2.0"
    models.verify("small-onnx")
    assert leftovers(models) == ["small-onnx"]


def test_a_checkpoint_is_what_the_quantizer_needs_and_no_more(
    server: HubServer, models: ModelRegistry
) -> None:
    entry = pull(models, CHECKPOINT)
    assert isinstance(entry, CheckpointEntry)
    assert sorted(contents(entry.path)) == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    assert models.list() == []
    assert pull(models, CHECKPOINT, name="../../elsewhere") == entry
    found = Checkpoints(models.root).get("ORG/small")
    assert found is not None
    assert found.path == models.root / ".checkpoints" / "org" / "Small"


@pytest.mark.parametrize(
    ("pattern", "name", "files"),
    [
        ("*Q4_K_M*", "small-q4_k_m", ["small-q4_k_m.gguf"]),
        (
            "*q8_0*",
            "small-q8_0",
            ["small-q8_0-00001-of-00002.gguf", "small-q8_0-00002-of-00002.gguf"],
        ),
    ],
)
def test_one_gguf_is_fetched_with_all_its_parts(
    server: HubServer, models: ModelRegistry, pattern: str, name: str, files: list[str]
) -> None:
    entry = pull(models, GGUF, pattern)
    assert (entry.name, entry.manifest.format) == (name, "gguf")
    assert sorted(contents(entry.path)) == files


def test_which_of_several_models_is_said_by_the_person(server: HubServer) -> None:
    offer = look(GGUF)
    with pytest.raises(FileNotChosen, match=r"q8/small-q8_0-00001-of-00002\.gguf, small-q4_k_m\.gguf"):
        choose(GGUF, offer.choices)
    with pytest.raises(FileNotFound, match="small-q4_k_m"):
        choose(GGUF, offer.choices, "*q5*")


def test_a_file_that_another_model_has_is_linked_and_not_fetched(
    server: HubServer, models: ModelRegistry
) -> None:
    first = pull(models, GENAI)
    server.asked.clear()
    second = pull(models, GENAI, name="again")
    assert contents(second.path) == contents(first.path)
    assert all(asked.end - asked.start < 1000 for asked in server.asked)
    assert (first.path / "model.onnx.data").samefile(second.path / "model.onnx.data")
    models.remove(first.name)
    models.purge_removed()
    models.verify("again")


def test_a_file_that_was_damaged_since_is_not_shared(server: HubServer, models: ModelRegistry) -> None:
    first = pull(models, GENAI)
    data = (first.path / "model.onnx.data").read_bytes()
    (first.path / "model.onnx.data").write_bytes(bytes(len(data)))
    second = pull(models, GENAI, name="again")
    assert (second.path / "model.onnx.data").read_bytes() == data


def test_what_is_here_already_is_not_fetched_again(server: HubServer, models: ModelRegistry) -> None:
    first = pull(models, GENAI)
    server.asked.clear()
    assert pull(models, GENAI) == first
    assert server.asked == []
    with pytest.raises(ModelNameTaken):
        pull(models, GGUF, "*q4*", name=first.name)


def test_a_new_commit_of_a_checkpoint_fetches_what_is_new(server: HubServer, models: ModelRegistry) -> None:
    entry = pull(models, CHECKPOINT)
    server.asked.clear()
    files = server.repositories[CHECKPOINT].files
    server.repositories[CHECKPOINT] = HubRepository(
        files | {"generation_config.json": b'{"a": 1}'}, config={"model_type": "llama"}
    )
    new = pull(models, CHECKPOINT)
    assert (new.path / "generation_config.json").read_bytes() == b'{"a": 1}'
    assert new.manifest.revision != entry.manifest.revision
    assert not [asked for asked in server.asked if asked.path.endswith(".safetensors")]


def test_checkpoints_and_downloads_move_with_the_models(server: HubServer, tmp_path: Path) -> None:
    hearth = Hearth.open()
    pull(hearth.models, CHECKPOINT)
    waiting = queue(hearth.downloads, GENAI)
    hearth.move_models(tmp_path / "elsewhere")
    assert hearth.models.root == tmp_path / "elsewhere"
    assert Checkpoints(hearth.models.root).get(CHECKPOINT) is not None
    hearth.downloads.run(waiting)
    assert [model.name for model in hearth.models.list()] == ["small-onnx"]
    hearth.close()


# How it is fetched


def test_a_large_file_is_fetched_in_ranges_and_the_token_stays_with_the_hub(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_HUB_TOKEN", "good")
    server.tokens["good"] = "somebody"
    pull(models, GENAI)
    ranges = [(asked.start, asked.end) for asked in server.asked if asked.path.endswith("model.onnx.data")]
    assert sorted(ranges) == [(start, start + PIECE) for start in range(0, 5 * PIECE, PIECE)]
    assert server.content_tokens == []
    assert {agent.partition("/")[0] for agent in server.agents} == {"hearth"}


def test_a_server_that_knows_no_ranges_sends_each_file_once(server: HubServer, models: ModelRegistry) -> None:
    server.fault = lambda kind, _path, _start: Fault(no_range=True) if kind == "content" else None
    entry = pull(models, GENAI)
    models.verify(entry.name)
    asked = [one for one in server.asked if one.path.endswith("model.onnx.data")]
    assert len(asked) <= 2


def test_a_server_that_asks_to_wait_is_waited_for(server: HubServer, models: ModelRegistry) -> None:
    busy = iter([Fault(429, {"Retry-After": "1"})])
    server.fault = lambda kind, _path, _start: next(busy, None) if kind == "api" else None
    waited: list[float] = []
    look(GENAI, wait=waited.append)
    assert waited == [1.0]


def test_a_pause_keeps_what_is_there_and_the_next_run_fetches_the_rest(
    server: HubServer, models: ModelRegistry
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    # More pieces than connections, so that at least one is here.
    with server.holding(CONNECTIONS * PIECE) as waits, pytest.raises(DownloadStopped):
        downloads.run(download, cancelled=waits.is_set)
    paused = downloads.list()[0]
    assert paused.state is DownloadState.PAUSED
    assert 0 < paused.done < paused.total
    assert models.list() == []
    server.asked.clear()
    downloads.run(download)
    assert sum(asked.end - asked.start for asked in server.asked) == paused.total - paused.done
    assert leftovers(models) == [".checkpoints"]


def test_the_queue_outlives_the_program_and_tells_what_happens(
    server: HubServer, models: ModelRegistry
) -> None:
    first = Downloads(models)
    ids = [queue(first, CHECKPOINT), queue(first, GENAI), queue(first, GGUF, "*q4*")]
    first.pause(ids[1])
    first.close()
    again = Downloads(models)
    assert [(one.id, one.state.value) for one in again.list()] == [
        (ids[0], "queued"),
        (ids[1], "paused"),
        (ids[2], "queued"),
    ]
    events: list[DownloadEvent] = []
    done = Event()

    def hear(event: DownloadEvent) -> None:
        events.append(event)
        if isinstance(event, DownloadDone) and event.id == ids[2]:
            done.set()

    again.changes.subscribe(hear)
    again.start()
    assert done.wait(60)
    again.close()
    assert [event.id for event in events if isinstance(event, DownloadDone)] == [ids[0], ids[2]]
    running = [event for event in events if isinstance(event, DownloadStatus) and event.id == ids[0]]
    assert [one.done for one in running] == sorted(one.done for one in running)
    assert running[-1].done == running[-1].total
    assert [one.id for one in again.list()] == [ids[1]]


def test_a_running_download_is_paused_resumed_and_cancelled(server: HubServer, models: ModelRegistry) -> None:
    downloads = Downloads(models)
    states: list[str] = []
    news = Event()

    def hear(event: DownloadEvent) -> None:
        state = event.state.value if isinstance(event, DownloadStatus) else type(event).__name__
        if states[-1:] != [state]:
            states.append(state)
        news.set()

    def until(state: str) -> None:
        while states[-1:] != [state]:
            assert news.wait(60)
            news.clear()

    downloads.changes.subscribe(hear)
    download = queue(downloads, CHECKPOINT)
    with server.holding():
        downloads.start()
        until("running")
        downloads.pause(download)
        until("paused")
        downloads.resume(download)
        downloads.start()
        until("running")
        downloads.cancel(download)
        until("DownloadRemoved")
        downloads.close()
    assert states == ["queued", "running", "paused", "queued", "running", "paused", "DownloadRemoved"]
    assert downloads.list() == []
    assert leftovers(models) == []


@pytest.mark.parametrize("is_damaged", [False, True])
def test_nothing_is_left_of_a_download_that_is_cancelled_while_it_is_resumed(
    server: HubServer, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch, is_damaged: bool
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    if is_damaged:
        (models.root / ".downloads" / download / "download.json").write_bytes(b"")
    held = DownloadFolder.held

    def held_too_late(folder: DownloadFolder) -> AbstractContextManager[None]:
        monkeypatch.setattr(DownloadFolder, "held", held)
        Downloads(models).cancel(download)
        return held(folder)

    monkeypatch.setattr(DownloadFolder, "held", held_too_late)
    with pytest.raises(DownloadNotFound):
        downloads.resume(download)
    assert leftovers(models) == []


@pytest.mark.skipif(os.name != "posix", reason="looking holds a folder on Windows")
def test_whoever_looks_whether_a_folder_is_held_keeps_nobody_from_deleting_it(
    server: HubServer, models: ModelRegistry
) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    folder = DownloadFolder(models.root / ".downloads" / download)
    over = Event()

    def look_on() -> None:
        while not over.wait(0.001):
            folder.is_held()

    lookers = [Thread(target=look_on, daemon=True) for _ in range(2)]
    for looker in lookers:
        looker.start()
    downloads.pause(download)
    assert not any(downloads.list()[0].elsewhere for _ in range(20))
    downloads.cancel(download)
    over.set()
    for looker in lookers:
        looker.join()
    assert leftovers(models) == []


def test_what_fails_says_why_and_can_be_tried_again(server: HubServer, models: ModelRegistry) -> None:
    server.fault = lambda kind, _path, _start: Fault(503) if kind == "content" else None
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    with pytest.raises(HubFailed, match="status 503"):
        downloads.run(download)
    failed = Downloads(models).list()[0]
    assert failed.state is DownloadState.FAILED
    assert isinstance(failed.error, HubFailed)
    server.fault = random_faults(0, 0)
    downloads.resume(download)
    downloads.run(download)


# What is wrong


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


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("tokenizer_extra.json", "../../../tokenizer_extra.json"),
        ('"repository":"org/Small-onnx"', '"repository":"../../x"'),
        ('"name":"mine"', '"name":"../mine"'),
    ],
)
def test_a_download_that_somebody_else_has_put_here_is_told_and_left_alone(
    server: HubServer, models: ModelRegistry, written: str, instead: str
) -> None:
    """The models folder may come from another machine, and nothing is fetched or written because of it."""
    downloads = Downloads(models)
    queue(downloads, GENAI, name="mine")
    (job,) = (models.root / ".downloads").glob("*/download.json")
    text = job.read_text()
    assert written in text
    job.write_text(text.replace(written, instead))
    with pytest.raises(ModelFileInvalid):
        DownloadFolder(job.parent).read()
    asked = len(server.requests)
    again = Downloads(models)
    (told,) = again.list()
    assert isinstance(told.error, InstallDamaged)
    again.start()
    again.close()
    assert len(server.requests) == asked


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


def test_a_repository_that_vanishes_under_way_is_told(server: HubServer, models: ModelRegistry) -> None:
    downloads = Downloads(models)
    download = queue(downloads, CHECKPOINT)
    del server.repositories[CHECKPOINT]
    with pytest.raises(RepositoryNotFound):
        downloads.run(download)
    assert models.list() == []


def test_what_hearth_cannot_use_is_refused_before_it_is_fetched(server: HubServer) -> None:
    server.repositories["org/other"] = HubRepository(
        {"config.json": b"{}", "model.safetensors": b"x"}, config={"model_type": "mamba"}
    )
    with pytest.raises(RepositoryUnfit, match="mamba"):
        look("org/other")
    server.repositories["org/empty"] = HubRepository({"README.md": b"x"})
    with pytest.raises(RepositoryUnfit, match="no GGUF file"):
        look("org/empty")


def test_content_that_is_not_what_is_listed_is_never_kept(server: HubServer, models: ModelRegistry) -> None:
    server.fault = lambda kind, path, _start: (
        Fault(change=lambda body: bytes(len(body)))
        if path.endswith("model.onnx.data") and kind == "content"
        else None
    )
    with pytest.raises(FileNotAsListed, match="checksum"):
        pull(models, GENAI)
    assert models.list() == []


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


def test_a_disk_that_is_too_small_is_noticed_first(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.hub.fetch.SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", 16 * PIECE) as disk:
        models = ModelRegistry(disk)
        with pytest.raises(DownloadRoom):
            pull(models, CHECKPOINT)
        assert server.asked == []
        assert models.list() == []


def test_a_disk_that_fills_up_under_way_keeps_what_is_there(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.models.hub.fetch.SPARE_BYTES", 0)
    with small_disk(tmp_path / "disk", 32 * PIECE) as disk:
        models = ModelRegistry(disk)
        downloads = Downloads(models)
        download = queue(downloads, CHECKPOINT)

        def fill(sent: int) -> None:
            with server.lock:
                if sent > 2 * PIECE and not (disk / "others").exists():
                    fill_up(disk / "others")

        server.on_sent = fill
        with pytest.raises(DiskFull):
            downloads.run(download)
        assert models.list() == []
        server.on_sent = lambda _sent: None
        (disk / "others").unlink()
        downloads.run(download)
        assert leftovers(models) == [".checkpoints"]


def fill_up(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(PIECE)):
                pass
        except OSError:
            return


# Search


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
