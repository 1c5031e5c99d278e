"""The packed forms of Hearth's models: verified with the model, deleted with it, and when they are switched off."""

from __future__ import annotations

from pathlib import Path

import pytest

from command_line import hearth
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.packed_weights import DATA_FILE, PackedWeights
from hearth.model_folder.folder import ModelFolder
from hearth.models.registry import ModelRegistry
from hearth.paths import config_file
from hearth.services import packed_forms
from hearth.services.hearth import Hearth
from packing import listed, make, punch_out


@pytest.fixture
def packed_at_home(int8: ModelFolder, options: EngineOptions, hearth_home: Path) -> PackedWeights:
    """A copy of the int8 model in the list, as “mine”, and its packed form where Hearth keeps them."""
    registry = ModelRegistry()
    registry.import_folder(int8.path, name="mine")
    packed = PackedWeights(hearth_home / "packed", 1 << 30)
    make(ModelFolder.open(registry.root / "mine"), packed, options)
    return packed


def test_models_verify_checks_the_packed_form_too(
    int8: ModelFolder, options: EngineOptions, hearth_home: Path
) -> None:
    hearth("models", "import", "--in-place", str(int8.path), "--name", "stories")
    packed = PackedWeights(hearth_home / "packed", 1 << 30)
    entry = make(int8, packed, options)
    assert hearth("models", "verify", "stories", "--json").json["packed"] == {"checked": 1, "damaged": 0}
    punch_out(entry / DATA_FILE)
    result = hearth("models", "verify", "stories")
    assert result.code == 0
    assert "damaged" in result.err
    assert listed(packed) == []


def test_the_form_of_a_removed_model_stays_as_long_as_that_can_be_restored(
    packed_at_home: PackedWeights, stories_float32: Path, options: EngineOptions
) -> None:
    registry = ModelRegistry()
    registry.import_folder(stories_float32, name="theirs", in_place=True)
    make(ModelFolder.open(stories_float32), packed_at_home, options)
    registry.restore(registry.remove("mine"))
    packed_forms.purge_removed(registry)
    assert len(listed(packed_at_home)) == 2
    registry.remove("mine")
    packed_forms.purge_removed(registry)
    assert len(listed(packed_at_home)) == 1
    assert hearth("models", "remove", "theirs", "--yes").code == 0
    assert listed(packed_at_home) == []


def test_packed_weights_that_are_switched_off_are_deleted(packed_at_home: PackedWeights) -> None:
    packed_at_home.new_part()  # another process makes one at this moment
    (packed_at_home.folder / "of-old.refused").touch()
    opened = Hearth.open()
    opened.change_settings({"engine.threads": 1})
    assert len(listed(packed_at_home)) == 1
    opened.change_settings({"engine.packed_weights": "off"})
    assert {entry.suffix for entry in packed_at_home.folder.iterdir()} == {".part"}
    opened.close()


def test_packed_weights_that_are_off_when_hearth_starts_are_deleted(packed_at_home: PackedWeights) -> None:
    config_file().write_text('[engine]\npacked_weights = "off"\n')
    Hearth.open().close()
    assert listed(packed_at_home) == []
