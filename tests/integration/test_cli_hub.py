"""`hearth models pull`, `search`, `login` and `logout`, against a hub that runs here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import keyring
import pytest
from keyring.backends import fail

from checkpoints import write_llama
from command_line import hearth
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.hub.patience import Patience
from hearth.models.registry import ModelRegistry
from hearth.paths import models_folder
from hearth.services.downloads import Downloads
from hearth.services.installs import Installs
from hub_repositories import CHECKPOINT, GENAI, GGUF, noise, pull, queue, small_repositories
from hub_server import Fault, HubRepository, HubServer
from key_stores import KeyStore


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, HubRepository]:
    folder = tmp_path_factory.mktemp("hub")
    found = small_repositories(folder / "model")
    write_llama(folder / "llama")
    files = {file.name: file.read_bytes() for file in (folder / "llama").iterdir()}
    return found | {"org/Llama": HubRepository(files, config={"model_type": "llama"})}


@pytest.fixture
def server(repositories: dict[str, HubRepository], monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer(repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.delenv("HEARTH_HUB_TOKEN", raising=False)
        monkeypatch.setattr(
            "hearth.models.hub.client.PATIENCE", Patience(first_seconds=0.0, longest_seconds=0.0)
        )
        yield server


@pytest.fixture
def no_key_store() -> Iterator[None]:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    yield
    keyring.set_keyring(before)


def test_a_model_is_pulled_and_listed(server: HubServer) -> None:
    made = hearth("models", "pull", GENAI, "--name", "mine", "--json").json
    assert (made["name"], made["format"]) == ("mine", "onnxruntime-genai")
    assert made["source"] == f"{server.endpoint}/{GENAI}"
    assert [model["name"] for model in hearth("models", "list", "--json").json] == ["mine"]
    assert "is whole" in hearth("models", "verify", "mine").out


def test_a_checkpoint_is_pulled_and_quantized_by_its_name(server: HubServer) -> None:
    said = hearth("models", "pull", "org/Llama")
    assert said.code == 0, said.err
    assert "hearth quantize org/Llama NAME" in said.out
    assert hearth("models", "list", "--json").json == []
    made = hearth("quantize", "org/llama", "mine", "--recipe", "int8", "--block-size", "16", "--json").json
    assert made["name"] == "mine"
    assert made["source"] == f"{server.endpoint}/org/Llama"
    assert made["revision"]


def test_a_model_is_pulled_by_its_name_in_the_catalogue(server: HubServer) -> None:
    said = hearth("models", "pull", "Qwen3-0.6B")
    assert said.err.startswith("hearth: There is no repository Qwen/Qwen3-0.6B")


def test_a_checkpoint_is_listed_and_removed_by_its_name(server: HubServer) -> None:
    hearth("models", "pull", CHECKPOINT)
    assert hearth("models", "list", "--json").json == []
    (listed,) = hearth("models", "list", "--checkpoints", "--json").json
    assert (listed["name"], listed["format"]) == (CHECKPOINT, "safetensors")
    for command in (["list"], ["list", "--checkpoints"]):
        lines = hearth("models", *command).out.splitlines()
        assert lines[0].split() == ["CHECKPOINT", "SIZE", "FOLDER"]
        assert lines[1].split()[0] == CHECKPOINT
    installs = Installs(ModelRegistry(), Downloads(ModelRegistry()))
    wanted = installs.add_checkpoint(CHECKPOINT, "mine").id
    queue(Downloads(ModelRegistry()), CHECKPOINT)
    for command in (["remove", CHECKPOINT], ["pull", CHECKPOINT, "--discard"]):
        assert "still needed for the model mine" in hearth("models", *command).error_line()
    installs.cancel(wanted)
    assert hearth("models", "pull", CHECKPOINT, "--discard").code == 0
    assert hearth("models", "remove", "ORG/small", "--yes", "--json").json["name"] == CHECKPOINT
    assert list(models_folder().iterdir()) == []
    assert "no model named" in hearth("models", "remove", CHECKPOINT).error_line()
    assert "No checkpoint" in hearth("models", "list", "--checkpoints").err


@pytest.mark.skipif(os.name != "posix", reason="a signal as Ctrl+C sends it")
def test_control_c_ends_a_search_that_the_hub_lets_wait(server: HubServer) -> None:
    command = [sys.executable, "-m", "hearth", "models", "search", "small"]
    pressed = threading.Lock()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as program:

        def wait_long(_kind: str, path: str, _start: int) -> Fault | None:
            if "/tree/" not in path:
                return None
            if pressed.acquire(blocking=False):  # once: several requests come at the same time
                program.send_signal(signal.SIGINT)
            return Fault(429, {"Retry-After": "500"})

        server.fault = wait_long
        program.communicate(timeout=120)
    assert program.returncode == 130


def test_which_file_is_asked_in_one_line(server: HubServer) -> None:
    assert "small-q4_k_m.gguf. Choose one of them with --file." in hearth("models", "pull", GGUF).error_line()
    assert hearth("models", "pull", GGUF, "--file", "*q4*", "--json").json["name"] == "small-q4_k_m"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["../../etc"], "cannot be the name of a repository"),
        (["org/../../name"], "cannot be the name of a repository"),
        (["org/vanished"], "There is no repository org/vanished"),
        ([f"{CHECKPOINT}@v9"], "has no revision v9"),
        ([GENAI, "--name", "a/b"], "cannot be the name of a model"),
        ([GGUF, "--file", "*q5*"], "fits “*q5*”"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_left(
    server: HubServer, arguments: list[str], line: str
) -> None:
    assert line in hearth("models", "pull", *arguments).error_line()
    assert hearth("models", "list", "--json").json == []
    assert not models_folder().exists() or not list(models_folder().iterdir())


def test_offline_is_one_line_for_each_command(
    server: HubServer, store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_OFFLINE", "1")
    for command in (["pull", GENAI], ["search", "small"]):
        assert "stay offline" in hearth("models", *command).error_line()
    assert "stay offline" in hearth("models", "login", stdin="token\n").error_line()
    assert server.requests == []


def test_search_shows_files_and_sizes(server: HubServer) -> None:
    lines = hearth("models", "search", "small").out.splitlines()
    assert lines[0].split() == ["REPOSITORY", "FORMAT", "SIZE"]
    assert any(line.split() == ["small-q4_k_m.gguf", "gguf", "8.19", "kB"] for line in lines)
    found = hearth("models", "search", "small", "gguf", "--json").json
    assert [one["repository"] for one in found] == [GGUF]
    assert found[0]["models"][1] == {"name": "small-q4_k_m.gguf", "format": "gguf", "bytes": 8192}
    assert "has nothing of that name" in hearth("models", "search", "nonsense").err


def test_a_token_is_kept_in_the_key_store_and_used(server: HubServer, store: KeyStore) -> None:
    server.tokens["hf_good"] = "somebody"
    server.repositories["org/gated"] = HubRepository(
        server.repositories[GENAI].files, gated=True, accepted={"hf_good"}
    )
    assert "accepted its terms" in hearth("models", "pull", "org/gated").error_line()
    account = hearth("models", "login", "--json", stdin="hf_good\n").json
    assert account["name"] == "somebody"
    assert list(store.keys.values()) == ["hf_good"]
    assert hearth("models", "pull", "org/gated", "--json").json["name"] == "gated"
    assert hearth("models", "logout").code == 0
    assert store.keys == {}
    assert "no token" in hearth("models", "logout").err


def test_a_token_that_is_refused_is_not_kept(server: HubServer, store: KeyStore) -> None:
    assert "does not accept the token" in hearth("models", "login", stdin="hf_bad\n").error_line()
    assert "No token was given" in hearth("models", "login", stdin="\n").error_line()
    assert store.keys == {}


@pytest.mark.usefixtures("no_key_store")
def test_without_a_key_store_one_line_says_what_to_do(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HEARTH_HUB_TOKEN" in hearth("models", "login", stdin="hf_good\n").error_line()
    assert hearth("models", "pull", GENAI).code == 0
    server.tokens["hf_good"] = "somebody"
    files = server.repositories[GENAI].files
    server.repositories["org/gated"] = HubRepository(files, gated=True, accepted={"hf_good"})
    monkeypatch.setenv("HEARTH_HUB_TOKEN", "hf_good")
    assert hearth("models", "pull", "org/gated").code == 0


@pytest.mark.skipif(os.name != "posix", reason="a signal as Ctrl+C sends it")
def test_control_c_keeps_what_is_fetched_until_it_is_discarded(server: HubServer) -> None:
    server.repositories["org/Large"] = HubRepository(
        {"config.json": b"{}", "model.safetensors": noise(1 << 22)}, config={"model_type": "llama"}
    )
    command = [sys.executable, "-m", "hearth", "models", "pull", "org/Large"]
    with (
        server.holding(1 << 20) as waits,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program,
    ):
        assert waits.wait(60)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate()
    assert program.returncode == 130
    assert "is kept" in said
    assert (models_folder() / ".downloads").is_dir()
    assert hearth("models", "pull", "org/large", "--discard").code == 0
    assert list(models_folder().iterdir()) == []


@pytest.mark.parametrize("copy", ["whole", "gone"])
def test_a_damaged_download_is_discarded_too(server: HubServer, copy: str) -> None:
    downloads = Downloads(ModelRegistry())
    for repository, file in ((GGUF, "*q4*"), (CHECKPOINT, None)):
        note = models_folder() / ".downloads" / queue(downloads, repository, file) / "download.json"
        note.write_bytes(b"")
        if copy == "gone":
            note.with_name("download.copy.json").unlink()
    assert hearth("models", "pull", GGUF.lower(), "--discard").code == 0
    assert [status.id.startswith("org-small-gguf") for status in downloads.list()] == [False]
    assert hearth("models", "pull", CHECKPOINT, "--discard").code == 0
    assert list(models_folder().iterdir()) == []


def test_discarding_leaves_a_damaged_download_whose_name_only_begins_alike(server: HubServer) -> None:
    downloads = Downloads(ModelRegistry())
    names = [f"org/these-names-begin-alike-for-forty-characters-{letter}" for letter in "ab"]
    for name in names:
        server.repositories[name] = server.repositories[CHECKPOINT]
        (models_folder() / ".downloads" / queue(downloads, name) / "download.json").write_bytes(b"")
    assert hearth("models", "pull", names[0], "--discard").code == 0
    assert [status.repository for status in downloads.list()] == [names[1]]


def test_a_damaged_download_is_discarded_though_a_checkpoint_from_there_is_needed(server: HubServer) -> None:
    files = server.repositories[CHECKPOINT].files | server.repositories[GGUF].files
    server.repositories["org/both"] = HubRepository(files, config={"model_type": "llama"})
    models = ModelRegistry()
    pull(models, "org/both", "config.json")
    downloads = Downloads(models)
    Installs(models, downloads).add_checkpoint("org/both", "mine")
    note = models_folder() / ".downloads" / queue(downloads, "org/both", "*q4*") / "download.json"
    note.write_bytes(b"")
    note.with_name("download.copy.json").unlink()
    assert hearth("models", "pull", "org/both", "--discard").code == 0
    assert downloads.list() == []
    assert Checkpoints(models.root).get("org/both") is not None
