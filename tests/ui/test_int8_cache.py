"""The window tells of a model that does not keep what it has read as the settings ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hearth.paths import config_file
from hearth.services.events import ModelState
from weights_inside import with_weights_inside


def test_a_model_that_keeps_floats_is_told_once(
    open_window: Callable[..., Any], stories_float32: Path, tmp_path: Path, hearth_home: Path
) -> None:
    hearth_home.mkdir()
    config_file().write_text('[engine]\nkv_cache_type = "int8"\n')
    hand = open_window()
    hand.import_model(with_weights_inside(stories_float32, tmp_path / "model"))
    toast = hand.window.toast
    sentence = "stories keeps what it has read as floats: its graph has no place for int8 ones."
    hand.wait(lambda: toast.isVisible() and toast.text() == sentence)
    toast.hide()
    hand.window.hearth.pool.unload("stories")
    hand.wait(lambda: hand.window.picker.status("stories").state is ModelState.UNLOADED)
    hand.window.hearth.pool.load("stories")
    hand.wait_loaded("stories")
    assert not toast.isVisible()
