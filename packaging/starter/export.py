"""From the trained checkpoint to the model folder that Hearth ships, by onnxruntime-genai's own builder.

    python packaging/starter/export.py CHECKPOINT MODEL_FOLDER

int8 weights in blocks of 32, int8 products, head pruned to the last position and shared with the embedding.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# What the folder is made of; the builder writes more for other kinds of models.
FILES = ("genai_config.json", "model.onnx", "model.onnx.data", "tokenizer.json", "tokenizer_config.json")
OPTIONS = ("block_size=32", "accuracy_level=4", "prune_lm_head=true", "shared_embeddings=true")


def build(checkpoint: Path, out: Path) -> None:
    """Run the builder.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    command += ["-i", str(checkpoint), "-o", str(out), "-p", "int8", "-e", "cpu"]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([*command, "-c", cache, "--extra_options", *OPTIONS], check=True)


def manifest(folder: Path) -> dict[str, object]:
    """`manifest.json`: the built-in model's name, its checksums, and that it answers best without chance."""
    return {
        "version": 1,
        "name": "hearth-starter",
        "source": "packaging/starter",
        "licence": "Apache-2.0",
        "sampling": {"temperature": 0.0},
        "files": {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            for name in FILES
            if (folder / name).is_file()
            for data in [(folder / name).read_bytes()]
        },
    }


def main() -> int:
    arguments = argparse.ArgumentParser(description="Export the starter.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("out", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        build(options.checkpoint, Path(made))
        shutil.rmtree(options.out, ignore_errors=True)
        options.out.mkdir(parents=True)
        for name in FILES:
            if (Path(made) / name).is_file():
                shutil.copy(Path(made) / name, options.out / name)
    text = json.dumps(manifest(options.out), indent=2)
    (options.out / "manifest.json").write_text(text + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
