"""The logits of a model folder after given tokens; run in a process of its own, which alone carries ONNX Runtime.

`python -m hearth.services.benchmark.logits` reads one line of JSON, a `Question`, and writes an .npy file, float32
[rows, vocab]: a row after each prompt and after each token of its answer.
"""

from __future__ import annotations

import sys

import msgspec

from hearth.services.benchmark.side import Forced


class Question(msgspec.Struct, frozen=True):
    """What is asked: the model folder, how to run it, and the file to write."""

    folder: str
    threads: int
    forced: Forced
    out: str


def answer(question: Question) -> None:
    """Write the file."""
    from pathlib import Path

    import numpy as np

    from hearth.engine.ort_runner import OrtRunner
    from hearth.model_folder.folder import ModelFolder

    forced = question.forced
    length = max(map(len, forced.prompts)) + max(map(len, forced.answers)) + 1
    folder = ModelFolder.open(Path(question.folder))
    runner = OrtRunner(
        folder, folder.path.name, threads=question.threads, max_slots=1, kv_cache_bytes=1 << 30
    )
    runner.reserve(1, length)
    rows = []
    for prompt, tokens in zip(forced.prompts, forced.answers, strict=True):
        runner.truncate(0, 0)
        rows.append(runner.prefill(0, prompt))
        rows += [runner.decode(0, [token])[0] for token in tokens]
    np.save(question.out, np.stack(rows))


if __name__ == "__main__":
    answer(msgspec.json.decode(sys.stdin.buffer.readline(), type=Question))
