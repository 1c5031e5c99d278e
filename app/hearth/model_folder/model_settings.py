"""What the owner has set for one model: how it answers where a conversation says nothing else, and how it runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from hearth.config import DefaultsSection, EngineSection, expected_text
from hearth.errors import ModelSettingInvalid, ModelSettingUnknown


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of one model; None takes what the model's maker recommends or else the settings file.

    Names, limits and meanings are those of the settings file: `[defaults]` for what answers use, below what their
    conversation sets; `[engine]` for `max_context` and `device`, which count from the next load, and for
    `unload_minutes`.
    """

    system_prompt: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    max_tokens: int | None = None
    max_context: int | None = None
    device: str | None = None
    unload_minutes: int | None = None

    def changed(self, changes: Mapping[str, object | None]) -> ModelSettings:
        """The same with these values; None takes a setting away.

        Raises:
            ModelSettingUnknown, ModelSettingInvalid
        """
        for key, value in changes.items():
            check_key(key)
            expected = "" if value is None else expected_text(value, _TYPES[key])
            if expected:
                raise ModelSettingInvalid(key=key, expected=expected)
        return msgspec.structs.replace(self, **dict(changes))

    def sound(self) -> ModelSettings:
        """The same without values that have no meaning, such as a manifest that was edited by hand may have."""
        wrong = {
            key: None
            for key, annotation in _TYPES.items()
            if (value := getattr(self, key)) is not None and expected_text(value, annotation)
        }
        return msgspec.structs.replace(self, **wrong)

    def applied_to(self, defaults: DefaultsSection) -> DefaultsSection:
        """The defaults for answers of this model."""
        own = msgspec.structs.asdict(self.sound())
        taken = {key: own[key] for key in DefaultsSection.__struct_fields__ if own.get(key) is not None}
        return msgspec.structs.replace(defaults, **taken)


NO_SETTINGS = ModelSettings()

_FILE: dict[str, Any] = {
    field.name: field.type
    for section in (DefaultsSection, EngineSection)
    for field in msgspec.structs.fields(section)
}
_TYPES: dict[str, Any] = {key: _FILE[key] for key in ModelSettings.__struct_fields__}


def check_key(key: str) -> None:
    """Raise ModelSettingUnknown for what is no setting of a model."""
    if key not in _TYPES:
        nearest = difflib.get_close_matches(key, _TYPES, n=1, cutoff=0.0)[0]
        raise ModelSettingUnknown(key=key, nearest=nearest)


def parse_setting(key: str, text: str) -> object:
    """The value that a person typed for a setting.

    Raises:
        ModelSettingUnknown, ModelSettingInvalid
    """
    check_key(key)
    kind, _ = get_args(_TYPES[key])
    try:
        value = kind(text)
    except ValueError:
        value = text  # whose type is wrong, so that the error says what it must be
    expected = expected_text(value, _TYPES[key])
    if expected:
        raise ModelSettingInvalid(key=key, expected=expected)
    return value
