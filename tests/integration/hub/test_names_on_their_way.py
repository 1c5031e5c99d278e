"""The name of a model on its way: told at once where it cannot be had, and taken by nobody else meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from command_line import hearth
from hearth.errors import (
    CheckpointMissing,
    ModelFolderMissing,
    ModelNameInvalid,
    ModelNameOnItsWay,
    ModelNameTaken,
    RecipeUnknown,
)
from hearth.model_folder.manifest import RemoteModel
from hearth.services.hub import look
from hub_repositories import CHECKPOINT, GENAI, GGUF, pull
from hub_server import HubServer
from installs_desk import RECIPE, REPOSITORY, Desk
from onnx_bytes import write_model_folder


def test_a_name_that_cannot_be_had_is_told_before_anything_is_fetched(
    server: HubServer, desk: Desk, tmp_path: Path
) -> None:
    pull(desk.models, GENAI, name="here")
    server.asked.clear()
    desk.add(name="mine")
    desk.add(GENAI, name="also")
    offer = look(REPOSITORY)
    for name, error in [
        ("here", ModelNameTaken),
        ("also", ModelNameOnItsWay),
        ("a/b", ModelNameInvalid),
    ]:
        with pytest.raises(error):
            desk.add(name=name)
    with pytest.raises(ModelNameOnItsWay):
        desk.add(name="mine", recipe="small")
    with pytest.raises(ModelNameOnItsWay):
        desk.add(GENAI, name="mine")
    with pytest.raises(RecipeUnknown):
        desk.add(name="other", recipe="smal")
    with pytest.raises(CheckpointMissing):
        desk.installs.add_checkpoint(CHECKPOINT, "other")
    with pytest.raises(ModelFolderMissing):
        desk.installs.add_checkpoint(tmp_path / "nowhere", "other")
    again = desk.add(name="mine")
    desk.add(name="tiny-llama")
    free = desk.installs.add(offer.repository, offer.choices[0], recipe=RECIPE)
    assert [status.name for status in desk.installs.list()] == ["mine", "tiny-llama", free.name, "also"]
    assert (again.name, free.name) == ("mine", "tiny-llama-2")
    assert server.asked == []


def test_nobody_else_takes_the_name_of_a_model_on_its_way(
    server: HubServer, desk: Desk, tmp_path: Path
) -> None:
    models = desk.models
    desk.add(name="mine")
    desk.add(GENAI, name="small")
    remote = RemoteModel(address="http://127.0.0.1:9", model="m")
    models.add_remote("here", remote)
    removed = models.remove(models.add_remote("gone", remote).name)
    desk.downloads.add(look(GGUF).repository, look(GGUF).choices[0], "gone")
    write_model_folder(tmp_path / "small")
    taking: list[Callable[[str], object]] = [
        lambda name: models.import_folder(tmp_path / "small", name=name),
        lambda name: models.add_remote(name, remote),
        lambda name: models.rename("here", name),
        lambda name: models.alias("here", name),
    ]
    for name in ("mine", "small"):
        for take in taking:
            with pytest.raises(ModelNameOnItsWay):
                take(name)
        assert "on its way already" in hearth("quantize", str(tmp_path), name).error_line()
    with pytest.raises(ModelNameOnItsWay):
        models.restore(removed)
    assert models.suggest_name(tmp_path / "small") == "small-2"
