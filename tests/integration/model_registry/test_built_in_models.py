"""The model that Hearth itself brings: first in the list, verified as any other, and never changed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hearth.errors import ModelBuiltIn, ModelFileChanged, ModelNameTaken, ModelNotFound
from hearth.model_folder.manifest import Manifest, ManifestFile, write_manifest
from hearth.models.registry import ModelRegistry
from onnx_bytes import write_model_folder


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    """A model as Hearth itself brings one."""
    folder = write_model_folder(tmp_path / "resources" / "model")
    files = {
        file.name: ManifestFile(hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size)
        for file in folder.iterdir()
    }
    manifest = Manifest(
        version=1,
        name="hearth-starter",
        aliases=("one",),
        files=files,
        sampling={"temperature": 0.3, "top_k": 5},
    )
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def with_starter(starter: Path) -> ModelRegistry:
    return ModelRegistry(built_in=[starter])


def test_a_model_of_hearth_comes_first_and_can_be_verified(
    with_starter: ModelRegistry, starter: Path, source: Path
) -> None:
    with_starter.import_folder(source, name="a-model")
    entry, other = with_starter.list()
    assert (entry.name, entry.built_in, entry.path, entry.in_place) == (
        "hearth-starter",
        True,
        starter,
        False,
    )
    assert (entry.aliases, entry.manifest.sampling) == ((), {"temperature": 0.3, "top_k": 5})
    assert (other.name, other.built_in) == ("a-model", False)
    assert with_starter.get("Hearth-Starter") == entry
    with_starter.verify("hearth-starter")
    (starter / "model.onnx.data").write_bytes(bytes(16))
    with pytest.raises(ModelFileChanged):
        with_starter.verify("hearth-starter")


def test_a_model_of_hearth_cannot_be_removed_or_named_otherwise(
    with_starter: ModelRegistry, starter: Path
) -> None:
    before = sorted((file, file.read_bytes()) for file in starter.iterdir())
    for job in (
        lambda: with_starter.remove("HEARTH-starter"),
        lambda: with_starter.alias("hearth-starter", "uno"),
    ):
        with pytest.raises(ModelBuiltIn, match="hearth-starter is part of Hearth"):
            job()
    with pytest.raises(ModelNotFound):
        with_starter.remove_alias("one")
    assert sorted((file, file.read_bytes()) for file in starter.iterdir()) == before


def test_the_name_of_a_model_of_hearth_is_taken(with_starter: ModelRegistry, source: Path) -> None:
    with pytest.raises(ModelNameTaken):
        with_starter.import_folder(source, name="hearth-starter")
    with_starter.import_folder(source, name="mine")
    with pytest.raises(ModelNameTaken):
        with_starter.alias("mine", "hearth-starter")
    renamed = source.rename(source.with_name("Hearth Starter"))
    assert with_starter.import_folder(renamed).name == "hearth-starter-2"


def test_a_model_of_the_same_name_from_before_is_hidden(
    registry: ModelRegistry, source: Path, starter: Path
) -> None:
    registry.import_folder(source, name="hearth-starter")
    both = ModelRegistry(built_in=[starter])
    assert [(entry.name, entry.built_in) for entry in both.list()] == [("hearth-starter", True)]


def test_without_its_files_hearth_has_no_model_of_its_own(tmp_path: Path, starter: Path) -> None:
    assert ModelRegistry(built_in=[tmp_path / "nowhere"]).list() == []
    (starter / "manifest.json").write_text("{")
    assert ModelRegistry(built_in=[starter]).list() == []
