"""What tells one model from another."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder


def test_a_change_between_the_samples_makes_another_model(stories_float32: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(stories_float32, copy, copy_function=shutil.copyfile)
    copy.chmod(0o755)
    folder = ModelFolder.open(copy)
    (data,) = folder.data_files
    before = model_digest(folder)
    assert model_digest(ModelFolder.open(copy)) == before
    content = bytearray(data.read_bytes())
    size = len(content)
    place = (size - (64 << 10)) // 15 // 2 + (40 << 10)  # in the middle of the first gap
    content[place] ^= 1
    data.write_bytes(content)
    os.utime(data, ns=(0, data.stat().st_mtime_ns + 1))
    assert model_digest(folder) != before
