"""Small repositories for a hub that runs here, and how tests fetch from it."""

from __future__ import annotations

import random
from pathlib import Path

from gguf_bytes import gguf, llama_keys, number
from hearth.models.hub.checkpoints import CheckpointEntry
from hearth.models.hub.choices import choose
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.services.downloads import Downloads
from hearth.services.hub import look
from hub_server import HubRepository
from onnx_bytes import write_model_folder

PIECE = 4096
GENAI, CHECKPOINT, GGUF = "org/Small-onnx", "org/Small", "org/Small-GGUF"


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def sized_gguf(size: int, part: int = 0, parts: int = 1) -> bytes:
    """A sound GGUF of so many bytes, or a part of one."""
    split = {"split.no": number(part), "split.count": number(parts)} if parts > 1 else {}
    keys = llama_keys() | split
    return gguf(keys, data=size - len(gguf(keys, data=0)))


def small_repositories(folder: Path) -> dict[str, HubRepository]:
    """One of each kind; files of several pieces, and files that nobody needs. `folder` is made, to build in."""
    write_model_folder(folder)
    model = {file.name: file.read_bytes() for file in folder.iterdir()}
    model["tokenizer_extra.json"] = noise(3 * PIECE + 5, 1)
    model["model.onnx.data"] = noise(5 * PIECE, 2)
    weights = {f"model-0000{n}-of-00002.safetensors": noise(4 * PIECE + n, 10 + n) for n in (1, 2)}
    beside = {
        "config.json": b'{"model_type": "llama"}',
        "generation_config.json": b"{}",
        "tokenizer.json": model["tokenizer.json"],
        "chat_template.jinja": b"{{ messages }}",
        "model.safetensors.index.json": b'{"weight_map": {}}',
        "LICENSE": b"Yours.",
    }
    left_out = {"pytorch_model.bin": b"x", "original/consolidated.00.pth": b"x", "onnx/model.onnx": b"x"}
    split = {f"q8/small-q8_0-0000{n}-of-00002.gguf": sized_gguf(2 * PIECE, n - 1, 2) for n in (1, 2)}
    return {
        GENAI: HubRepository(
            {f"cpu/int4/{name}": data for name, data in model.items()} | {"README.md": b"Hi"}
        ),
        CHECKPOINT: HubRepository(weights | beside | left_out, config={"model_type": "llama"}),
        GGUF: HubRepository(
            {"small-q4_k_m.gguf": sized_gguf(2 * PIECE), "mmproj-small.gguf": b"eyes", **split}
        ),
    }


def queue(downloads: Downloads, repository: str, file: str | None = None, name: str | None = None) -> str:
    """Note a download; its id."""
    offer = look(repository)
    return downloads.add(offer.repository, choose(repository, offer.choices, file), name).id


def pull(
    models: ModelRegistry, repository: str, file: str | None = None, name: str | None = None
) -> ModelEntry | CheckpointEntry:
    """Fetch it now."""
    downloads = Downloads(models)
    return downloads.run(queue(downloads, repository, file, name))


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a model or checkpoint as they were fetched."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "manifest.json"
    }


def leftovers(models: ModelRegistry) -> list[str]:
    """What lies in the models folder itself."""
    return sorted(path.name for path in models.root.iterdir()) if models.root.exists() else []
