"""The story model, and a folder for its packed form."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.engine.host.protocol import EngineOptions
from hearth.engine.packed_weights import PackedWeights
from hearth.model_folder.folder import ModelFolder
from packing import make


@pytest.fixture
def packed(tmp_path: Path) -> PackedWeights:
    return PackedWeights(tmp_path / "packed", 1 << 30)


@pytest.fixture
def options(packed: PackedWeights) -> EngineOptions:
    return EngineOptions(
        threads=1,
        kv_cache_bytes=1 << 27,
        packed_folder=str(packed.folder),
        packed_bytes=packed.byte_limit,
        packs_all=True,
        machine="this one",
    )


@pytest.fixture(params=["float32", "int8"])
def model(request: pytest.FixtureRequest) -> ModelFolder:
    path: Path = request.getfixturevalue(f"stories_{request.param}")
    return ModelFolder.open(path)


@pytest.fixture
def int8(stories_int8: Path) -> ModelFolder:
    return ModelFolder.open(stories_int8)


@pytest.fixture
def entry(int8: ModelFolder, packed: PackedWeights, options: EngineOptions) -> Path:
    """The folder of the packed form of the int8 model."""
    return make(int8, packed, options)
