"""The tiny checkpoints of `goldens/architectures`, put together as their authors would publish them."""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent / "goldens" / "architectures"
NAMES = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir()))


def golden_checkpoint(name: str, parent: Path) -> Path:
    """A copy of the checkpoint with its tokenizer, in the folder `parent`."""
    folder = parent / name
    shutil.copytree(FOLDER / name, folder, ignore=shutil.ignore_patterns("golden.npz"))
    shutil.copyfile(FOLDER / "tokenizer.json", folder / "tokenizer.json")
    return folder
