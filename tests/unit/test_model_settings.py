"""Settings of one model: what they may be, and that they stand between a conversation's and the settings file's."""

from __future__ import annotations

import msgspec
import pytest

from hearth.config import DefaultsSection, EngineSection
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.providers.choices import DeviceOptions
from hearth.errors import ModelSettingInvalid, ModelSettingUnknown
from hearth.model_folder.model_settings import ModelSettings, parse_setting
from hearth.services.engine_options import for_model


def test_every_setting_has_the_name_of_one_in_the_settings_file() -> None:
    known = {*DefaultsSection.__struct_fields__, *EngineSection.__struct_fields__}
    assert set(ModelSettings.__struct_fields__) <= known


def test_what_is_set_for_the_model_is_taken_and_the_rest_stays() -> None:
    settings = ModelSettings().changed({"temperature": 0.2, "system_prompt": "Be brief.", "max_context": 64})
    applied = settings.applied_to(DefaultsSection(temperature=1.0, top_k=40))
    assert (applied.temperature, applied.system_prompt, applied.top_k) == (0.2, "Be brief.", 40)
    assert settings.changed({"temperature": None}).applied_to(DefaultsSection()) == DefaultsSection(
        system_prompt="Be brief."
    )


def test_a_manifest_edited_by_hand_cannot_bring_what_the_settings_file_may_not() -> None:
    settings = ModelSettings(temperature=-1.0, top_k=7, device="toaster", unload_minutes=-5)
    assert settings.sound() == ModelSettings(top_k=7)
    assert settings.applied_to(DefaultsSection()) == DefaultsSection(top_k=7)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("temperature", -0.1, "a number from 0 to 100"),
        ("top_k", 1.5, "a whole number from 0"),
        ("max_context", True, "a whole number from 0"),
        ("device", "toaster", "one of “auto”"),
        ("system_prompt", 3, "a text in quotes"),
    ],
)
def test_a_value_without_a_meaning_is_refused(key: str, value: object, expected: str) -> None:
    with pytest.raises(ModelSettingInvalid, match=expected):
        ModelSettings().changed({key: value})


def test_an_unknown_setting_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ModelSettingUnknown, match="temperature"):
        ModelSettings().changed({"temprature": 1.0})


def test_what_a_person_types_becomes_a_value_of_the_right_kind() -> None:
    assert parse_setting("temperature", "1") == 1.0
    assert parse_setting("top_k", "40") == 40
    assert parse_setting("system_prompt", "7") == "7"
    with pytest.raises(ModelSettingInvalid, match="a whole number"):
        parse_setting("top_k", "many")


def test_device_and_context_of_the_model_go_to_its_host() -> None:
    devices = DeviceOptions(machine="m", file="f")
    options = EngineOptions(threads=2, kv_cache_bytes=1, max_context=100, devices=devices)
    assert for_model(options, ModelSettings()) == options
    changed = for_model(options, ModelSettings(max_context=50, device="cpu"))
    assert (changed.max_context, changed.devices) == (50, msgspec.structs.replace(devices, device="cpu"))
