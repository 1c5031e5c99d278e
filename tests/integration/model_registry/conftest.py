"""A model to be imported, and the store of a new user."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.models.registry import ModelRegistry
from onnx_bytes import write_model_folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = write_model_folder(tmp_path / "disk" / "Tiny Model")
    (folder / "LICENSE").write_text("MIT")
    (folder / "holiday.jpg").write_bytes(bytes(1000))
    return folder


@pytest.fixture
def registry(hearth_home: Path) -> ModelRegistry:
    return ModelRegistry()
