"""Models to be moved, and folders to move them to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hearth.models.relocation import Relocation
from hearth.services.hearth import Hearth
from moved_models import MODELS
from onnx_bytes import write_model_folder


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Hearth]:
    """Hearth with two models of its own; the second has an alias."""
    source = write_model_folder(tmp_path / "disk" / "tiny")
    (source / "LICENSE").write_text("MIT" * 1000)
    with closing(Hearth.open()) as opened:
        for name in MODELS:
            opened.models.import_folder(source, name=name)
        opened.models.alias("two", "zwei")
        yield opened


@pytest.fixture(params=["same disk", "another disk"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder that is not there yet: where models come by renaming, and where they must be copied."""
    if request.param == "same disk":
        yield tmp_path / "big" / "models"
        return
    with another_disk(tmp_path) as disk:
        yield disk / "models"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder that is not there yet, on another disk."""
    with another_disk(tmp_path) as disk:
        yield disk / "models"


class another_disk:  # noqa: N801 (a context manager)
    """A folder to which nothing can be renamed: truly on another disk where there is one."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Path:
        memory = Path("/dev/shm")
        if (
            memory.is_dir()
            and os.access(memory, os.W_OK)
            and memory.stat().st_dev != self._tmp_path.stat().st_dev
        ):
            self._folder = memory / f"hearth-test-{os.getpid()}-{self._tmp_path.name}"
        else:
            self._folder = self._tmp_path / "another disk"
            self._patch.setattr(Relocation, "_is_one_disk", lambda self: False)
        self._folder.mkdir()
        return self._folder

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
        shutil.rmtree(self._folder)
