"""What is fetched: the right files and bytes, in ranges, never twice, and nothing else."""

from __future__ import annotations

import pytest

from hearth.errors import FileNotAsListed, ModelNameTaken
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.registry import ModelEntry, ModelRegistry
from hub_repositories import CHECKPOINT, GENAI, GGUF, PIECE, contents, leftovers, pull
from hub_server import Fault, HubRepository, HubServer


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


def in_folder(repository: HubRepository, folder: str) -> dict[str, bytes]:
    return {
        path.removeprefix(folder): data for path, data in repository.files.items() if path.startswith(folder)
    }


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


def test_content_that_is_not_what_is_listed_is_never_kept(server: HubServer, models: ModelRegistry) -> None:
    server.fault = lambda kind, path, _start: (
        Fault(change=lambda body: bytes(len(body)))
        if path.endswith("model.onnx.data") and kind == "content"
        else None
    )
    with pytest.raises(FileNotAsListed, match="checksum"):
        pull(models, GENAI)
    assert models.list() == []


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
