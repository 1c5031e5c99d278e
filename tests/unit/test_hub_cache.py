"""Models and checkpoints in the cache of Hugging Face's tools, whose files are links to its blobs and to nothing else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from checkpoints import write_llama
from hearth.errors import ArchitectureUnsupported, CheckpointUnsupported, ModelFileOutside
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.hub_cache import snapshot_folder
from hearth.quantize.architectures.registry import describe
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hub_caches import REVISION, write_hub_cache
from onnx_bytes import block, tensor, write_model_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")

WEIGHTS = block(5, tensor(location="model.onnx.data", offset="0", length="16"))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_llama(tmp_path / "checkpoint")
    return write_hub_cache(tmp_path / "checkpoint", tmp_path / "hub")


@pytest.fixture
def snapshot(repository: Path) -> Path:
    return repository / "snapshots" / REVISION


def test_a_checkpoint_opens_where_it_lies(snapshot: Path) -> None:
    assert Checkpoint.open(snapshot).model_type == "llama"


def test_a_cache_may_be_reached_by_a_link(snapshot: Path, tmp_path: Path) -> None:
    (tmp_path / "short").symlink_to(snapshot)
    assert Checkpoint.open(tmp_path / "short").model_type == "llama"


def test_a_model_folder_opens_too_and_deep_in_its_repository(tmp_path: Path) -> None:
    source = write_model_folder(tmp_path / "model", graph_parts=(WEIGHTS,))
    snapshot = write_hub_cache(source, tmp_path / "hub") / "snapshots" / REVISION
    assert ModelFolder.open(snapshot).data_files == (snapshot / "model.onnx.data",)
    deep = snapshot / "cpu" / "int4"
    deep.mkdir(parents=True)
    for link in [path for path in snapshot.iterdir() if path.is_symlink()]:
        (deep / link.name).symlink_to(Path("..", "..", link.readlink()))
        link.unlink()
    assert ModelFolder.open(deep).data_files == (deep / "model.onnx.data",)


def test_errors_name_the_repository_and_not_the_revision(repository: Path, snapshot: Path) -> None:
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").write_text(json.dumps({"model_type": "thing"}))
    with pytest.raises(ArchitectureUnsupported, match="org/name"):
        describe(Checkpoint.open(snapshot))
    config = {"model_type": "llama", "quantization_config": {"quant_method": "rounded"}}
    (snapshot / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointUnsupported, match="org/name"):
        Checkpoint.open(snapshot)


def lead_to(link: Path, target: Path) -> None:
    link.unlink()
    link.symlink_to(target)


def test_the_blobs_of_another_repository_are_refused(snapshot: Path, tmp_path: Path) -> None:
    other = tmp_path / "hub" / "models--org--other" / "blobs"
    other.mkdir(parents=True)
    shutil.copyfile(snapshot / "config.json", other / "config")
    lead_to(snapshot / "config.json", other / "config")
    with pytest.raises(ModelFileOutside):
        Checkpoint.open(snapshot)


def test_what_lies_beside_the_blobs_or_below_them_is_refused(snapshot: Path, repository: Path) -> None:
    content = (snapshot / "config.json").read_bytes()
    (repository / "blobs" / "deep").mkdir()
    for place in (repository / "refs" / "config", repository / "blobs" / "deep" / "config"):
        place.write_bytes(content)
        lead_to(snapshot / "config.json", place)
        with pytest.raises(ModelFileOutside):
            Checkpoint.open(snapshot)


def test_blobs_that_are_a_link_themselves_are_refused(snapshot: Path, repository: Path) -> None:
    (repository / "blobs").rename(repository.parent / "elsewhere")
    (repository / "blobs").symlink_to(repository.parent / "elsewhere")
    with pytest.raises(ModelFileOutside):
        Checkpoint.open(snapshot)


def test_a_folder_that_only_looks_a_bit_like_a_cache_gets_no_blobs(snapshot: Path, repository: Path) -> None:
    plain = repository.rename(repository.with_name("name"))
    with pytest.raises(ModelFileOutside):
        Checkpoint.open(plain / "snapshots" / REVISION)


def test_a_repository_stands_for_its_main_revision_and_else_for_the_newest(repository: Path) -> None:
    newer = repository / "snapshots" / "newer"
    newer.mkdir()
    os.utime(repository / "snapshots" / REVISION, (1, 1))
    main = repository / "refs" / "main"
    assert snapshot_folder(repository).name == REVISION
    for nonsense in (b"../../..", b"gone", b"\xff\xfe"):
        main.write_bytes(nonsense)
        assert snapshot_folder(repository) == newer
    main.unlink()
    assert snapshot_folder(repository) == newer


def test_other_folders_and_empty_repositories_stand_for_themselves(tmp_path: Path) -> None:
    assert snapshot_folder(tmp_path) == tmp_path
    empty = tmp_path / "models--org--empty"
    assert snapshot_folder(empty) == empty
    (empty / "snapshots").mkdir(parents=True)
    assert snapshot_folder(empty) == empty
