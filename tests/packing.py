"""Makes packed weights, opens models with them, and damages them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from hearth.engine.host.protocol import EngineOptions
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_weights import PackedWeights
from hearth.engine.packing import pack
from hearth.model_folder.folder import ModelFolder

PROMPT = [1, 403, 407, 261, 378]


def make(folder: ModelFolder, packed: PackedWeights, options: EngineOptions) -> Path:
    pack(folder, "stories", packed, options, packed.new_part())
    file = packed.find(model_origin(folder, options.machine))
    assert file is not None
    return file.parent


def opened(folder: ModelFolder, packed: PackedWeights | None, machine: str = "this one") -> OrtRunner:
    runner = OrtRunner(
        folder, "stories", threads=1, max_slots=1, kv_cache_bytes=1 << 27, packed=packed, machine=machine
    )
    runner.reserve(1, 64)
    return runner


def logits(runner: OrtRunner) -> np.ndarray:
    """After a prompt, after a token more, and at each position of three more."""
    rows = [runner.prefill(0, PROMPT)[None], runner.decode(0, [298]), runner.score(0, [5, 6, 7])]
    return np.concatenate(rows)


def listed(packed: PackedWeights) -> list[str]:
    return sorted(entry.name for entry in packed.folder.iterdir() if not entry.suffix)


def punch_out(file: Path) -> None:
    """The first quarter set to zero, as a hole would read, and the times put back as they were."""
    stat = file.stat()
    with file.open("rb+") as stream:
        stream.write(bytes(stat.st_size // 4))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
