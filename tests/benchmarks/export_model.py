"""From a Hugging Face checkpoint to a model folder, by onnxruntime-genai's own builder.

    python tests/benchmarks/export_model.py CHECKPOINT OUT [--block-size 32]

A development tool, for benchmarks on the shapes of real models. Needs, in an environment of its own: torch 2.13.0,
transformers, onnx, onnx-ir and onnxruntime-genai. int4, accuracy level 4, head pruned to the last position, embedding
shared with the head.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    arguments = argparse.ArgumentParser(description="Export a checkpoint with onnxruntime-genai's builder.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--block-size", type=int, default=32)
    options = arguments.parse_args()
    extra = {
        "block_size": options.block_size,
        "accuracy_level": 4,
        "prune_lm_head": "true",
        "shared_embeddings": "true",
    }
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        command += [
            "-i",
            str(options.checkpoint),
            "-o",
            str(options.out),
            "-c",
            cache,
            "-p",
            "int4",
            "-e",
            "cpu",
        ]
        command += ["--extra_options", *(f"{key}={value}" for key, value in extra.items())]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
