"""Puts what `make starter` made where it ships from, with its model card.

python packaging/starter/publish.py BUILD_FOLDER
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from hearth.model_folder.manifest import VERSION, Manifest, write_manifest
from hearth.models.copying import Transfer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = ROOT / "resources" / "starter"
GOLDEN = ROOT / "tests" / "integration" / "starter_golden.json"
MOST_MODEL_BYTES, MOST_CHECKPOINT_BYTES = 10_000_000, 16_000_000


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def manifest(folder: Path) -> Manifest:
    """The built-in model's name, its checksums, and that it answers best without chance."""
    transfer = Transfer(size(folder))
    return Manifest(
        version=VERSION,
        name="hearth-starter",
        source="packaging/starter",
        licence="Apache-2.0",
        sampling={"temperature": 0.0},
        files={file.name: transfer.hash(file) for file in sorted(folder.iterdir())},
    )


def card(build: Path) -> str:
    """The model card, filled in."""
    config = json.loads((build / "checkpoint" / "config.json").read_text("utf-8"))
    rows = json.loads((build / "scores.json").read_text("utf-8"))
    weights = (build / "checkpoint" / "model.safetensors").stat().st_size
    return (
        (HERE / "card.md")
        .read_text("utf-8")
        .format(
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            intermediate=config["intermediate_size"],
            heads=config["num_attention_heads"],
            kv_heads=config["num_key_value_heads"],
            head_dim=config["head_dim"],
            vocabulary=config["vocab_size"],
            context=config["max_position_embeddings"],
            parameters=weights / 2 / 1e6,
            model_mb=size(build / "model") / 1e6,
            checkpoint_mb=size(build / "checkpoint") / 1e6,
            scores="\n".join(
                f"| {name} | {row['cases']} | {row['share']:.1%} |" for name, row in rows.items()
            ),
        )
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description="Publish the starter.")
    arguments.add_argument("build", type=Path)
    build: Path = arguments.parse_args().build
    for name, most in (("model", MOST_MODEL_BYTES), ("checkpoint", MOST_CHECKPOINT_BYTES)):
        if size(build / name) > most:
            sys.exit(f"{build / name} has {size(build / name):,} bytes, and at most {most:,} are shipped")
    for name in ("model", "checkpoint"):
        shutil.rmtree(TARGET / name, ignore_errors=True)
        shutil.copytree(build / name, TARGET / name)
    write_manifest(TARGET / "model", manifest(build / "model"))
    shutil.copy(build / "golden.json", GOLDEN)
    (TARGET / "README.md").write_text(card(build), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
