"""The settings file `config.toml`: read, checked and, at the first start, written with every key commented out.

The structs below are its only description: names, defaults, limits and the words in the written file come from them.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta

from hearth.errors import ConfigInvalid, ConfigUnknownKey, HomeUnwritable, because
from hearth.i18n import mark, tr
from hearth.paths import config_file, home, models_folder

# How the next word is chosen: what a conversation may set, and a model's maker may recommend.
SAMPLING_KEYS = frozenset(
    {
        "temperature",
        "top_p",
        "top_k",
        "min_p",
        "repetition_penalty",
        "presence_penalty",
        "frequency_penalty",
    }
)


def _choice(*values: str) -> dict[str, Any]:
    return {"choices": values}


class FoldersSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where large files lie."""

    models: Annotated[
        str, Meta(description="The folder that holds the models; empty takes models/ beside this file.")
    ] = ""


class EngineSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How models run."""

    threads: Annotated[
        int, Meta(ge=0, le=1024, description="Processor threads of one model; 0 lets Hearth choose.")
    ] = 0
    device: Annotated[
        str,
        Meta(
            description="What models run on: “auto” measures what there is, “cpu” is the processor;"
            " “hearth doctor” lists the others.",
            extra=_choice("auto", "cpu", "cuda", "directml", "coreml", "webgpu", "openvino"),
        ),
    ] = "auto"
    max_slots: Annotated[
        int, Meta(ge=1, le=256, description="Answers that one model writes at the same time.")
    ] = 8
    kv_cache_mb: Annotated[
        int, Meta(ge=0, description="Memory for what a model has read, in MB; 0 lets Hearth choose.")
    ] = 0
    kv_cache_type: Annotated[
        str,
        Meta(
            description="What that memory holds: “float”, or “int8”, which takes a quarter of it, so that longer"
            " conversations fit, but reads long prompts more slowly and rounds a little.",
            extra=_choice("float", "int8"),
        ),
    ] = "float"
    kept_context_mb: Annotated[
        int,
        Meta(
            ge=0,
            description="Disk space for what models have read, in MB, so that a conversation goes on at once after a"
            " restart; 0 keeps nothing there.",
        ),
    ] = 2048
    draft_model: Annotated[
        str,
        Meta(
            description="A smaller model of the same family that guesses ahead, so that answers come sooner; empty takes"
            " none.",
        ),
    ] = ""
    packed_weights: Annotated[
        str,
        Meta(
            description="Keep weights on disk as this processor wants them, for loading in less memory: “auto”"
            " for models that are large beside the memory, “on” for all, “off” for none.",
            extra=_choice("auto", "on", "off"),
        ),
    ] = "auto"
    packed_weights_mb: Annotated[
        int,
        Meta(ge=0, description="Disk space for such weights, in MB, about 2.5 times a model's size each."),
    ] = 16384
    max_context: Annotated[
        int,
        Meta(
            ge=0,
            description="Longest conversation that a model holds, in tokens; 0 takes the model's own limit.",
        ),
    ] = 0
    unload_minutes: Annotated[
        int,
        Meta(ge=0, description="Minutes of rest after which a model is unloaded; 0 keeps it loaded."),
    ] = 30
    loaded_models_mb: Annotated[
        int,
        Meta(
            ge=0,
            description="Memory for all loaded models together, in MB: for one more, those are unloaded that have rested"
            " longest; 0 takes three quarters of the machine's.",
        ),
    ] = 0


class DefaultsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a conversation uses where it sets nothing itself."""

    model: Annotated[
        str, Meta(description="The model of a new conversation; empty takes the last one used.")
    ] = ""
    system_prompt: Annotated[str, Meta(description="Said to the model before every conversation.")] = ""
    temperature: Annotated[
        float, Meta(ge=0, le=100, description="How freely words are chosen; 0 always takes the likeliest.")
    ] = 0.7
    top_p: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Choose among the likeliest words that make up this share; 1 is all of them.",
        ),
    ] = 0.95
    top_k: Annotated[
        int, Meta(ge=0, description="Choose among this many of the likeliest words; 0 is all of them.")
    ] = 0
    min_p: Annotated[
        float,
        Meta(ge=0, le=1, description="Leave out words less likely than this share of the likeliest one."),
    ] = 0.0
    repetition_penalty: Annotated[
        float,
        Meta(ge=0.01, le=100, description="Makes words that were used before less likely; 1 does nothing."),
    ] = 1.0
    presence_penalty: Annotated[
        float,
        Meta(ge=-100, le=100, description="Taken once from each word already in the answer; 0 does nothing."),
    ] = 0.0
    frequency_penalty: Annotated[
        float,
        Meta(
            ge=-100,
            le=100,
            description="Taken for each time a word is already in the answer; 0 does nothing.",
        ),
    ] = 0.0
    max_tokens: Annotated[int, Meta(ge=0, description="Longest answer, in tokens; 0 sets no limit.")] = 0


class LogSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log file, logs/hearth.log beside this file. It never holds what you or a model wrote."""

    level: Annotated[
        str,
        Meta(
            description="How much is logged: “debug”, “info”, “warning” or “error”.",
            extra=_choice("debug", "info", "warning", "error"),
        ),
    ] = "info"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings. A key that the file leaves out has its default."""

    language: Annotated[
        str,
        Meta(
            description="Language of the window and the terminal, such as “en” or “zh”; “system” follows the system."
        ),
    ] = "system"
    theme: Annotated[
        str,
        Meta(
            description="Colours of the window: “system”, “light” or “dark”.",
            extra=_choice("system", "light", "dark"),
        ),
    ] = "system"
    folders: FoldersSection = FoldersSection()
    engine: EngineSection = EngineSection()
    defaults: DefaultsSection = DefaultsSection()
    log: LogSection = LogSection()


def load_config(path: Path | None = None) -> Config:
    """The settings in `path` (the home folder's file); the defaults where there is none.

    Raises:
        ConfigUnknownKey, ConfigInvalid
    """
    path = path or config_file()
    text = read_text(path)
    return Config() if text is None else parse_config(text, path)


def read_text(path: Path) -> str | None:
    """The settings file as it stands; None where there is none.

    Raises:
        ConfigInvalid: it cannot be read, or is not text.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")  # Notepad begins a file with a mark
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigInvalid(path=str(path), reason=because(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigInvalid(path=str(path), reason=tr("it is not UTF-8 text")) from error


def parse_config(text: str, path: Path) -> Config:
    """The settings in the text of the file `path`.

    Raises:
        ConfigUnknownKey, ConfigInvalid
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigInvalid(
            path=str(path), reason=tr("it is not valid TOML: {detail}", detail=error)
        ) from error
    config: Config = _read(Config, values, path)
    return config


def models_root(config: Config) -> Path:
    """The folder that holds the models; what is not a whole path counts from the home folder."""
    if not config.folders.models:
        return models_folder()
    # Not Path.expanduser, which raises where a user is unknown: then the folder is one that is not there.
    return home() / os.path.expanduser(config.folders.models)  # noqa: PTH111


def with_recommended(defaults: DefaultsSection, sampling: Mapping[str, float]) -> DefaultsSection:
    """The defaults for one model: what its maker recommends, where the settings file says nothing else.

    What has no meaning here is left out: unknown keys, and values beyond a key's limits.
    """
    untouched = DefaultsSection()
    taken = {
        key: value
        for key, value in _recommended(sampling).items()
        if getattr(defaults, key) == getattr(untouched, key)
    }
    return msgspec.structs.replace(defaults, **taken)


def not_recommendable(sampling: Mapping[str, float]) -> list[str]:
    """The keys that `with_recommended` leaves out."""
    return sorted(sampling.keys() - _recommended(sampling).keys())


def _recommended(sampling: Mapping[str, float]) -> dict[str, int | float]:
    types = {field.name: field.type for field in msgspec.structs.fields(DefaultsSection)}
    values: dict[str, int | float] = {}
    for key in SAMPLING_KEYS & sampling.keys():
        kind, meta = get_args(types[key])
        value: int | float = sampling[key]
        if kind is int and float(value).is_integer():
            value = int(value)
        if _is_number(value, kind, meta):
            values[key] = kind(value)
    return values


def write_default_config(path: Path) -> None:
    """Write the commented settings file if there is none.

    Raises:
        HomeUnwritable
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        if path.exists():
            return
        raise HomeUnwritable(path=str(path.parent), reason=tr("it is not a folder")) from None
    except OSError as error:
        raise HomeUnwritable(path=str(path.parent), reason=because(error)) from error
    try:
        os.write(descriptor, default_text().encode())  # in one call: another Hearth may be reading it
    except OSError as error:
        raise HomeUnwritable(path=str(path.parent), reason=because(error)) from error
    finally:
        os.close(descriptor)


def default_text() -> str:
    """The settings file as it is first written: each key stands as `#key = default`."""
    lines = [
        "# Settings of Hearth, read when it starts.",
        "# Each setting stands here with its default. To change one, remove the # before it and change its value.",
        "",
    ]
    for name, default, meta in _keys(Config):
        lines += [f"# {meta.description}", f"#{name} = {msgspec.json.encode(default).decode()}", ""]
    tables = [
        table_text(section.name)
        for section in msgspec.structs.fields(Config)
        if isinstance(section.default, msgspec.Struct)
    ]
    return "\n".join([*lines, *tables])


def table_text(name: str) -> str:
    """One table of the settings file as it is first written."""
    struct = type(getattr(Config(), name))
    lines = [f"[{name}]", f"# {struct.__doc__}", ""]
    for key, default, meta in _keys(struct):
        lines += [f"# {meta.description}", f"#{key} = {msgspec.json.encode(default).decode()}", ""]
    return "\n".join(lines)


def check_key(key: str, path: Path) -> None:
    """Raise ConfigUnknownKey for a key (with its table and a dot) that no setting has."""
    table, _, name = key.rpartition(".")
    struct = getattr(Config(), table, None) if table else Config()
    known = isinstance(struct, msgspec.Struct) and name in struct.__struct_fields__
    if not known or isinstance(getattr(struct, name), msgspec.Struct):
        raise ConfigUnknownKey(path=str(path), key=key, nearest=_nearest(key))


def _keys(struct: type[msgspec.Struct]) -> Iterator[tuple[str, Any, Meta]]:
    """Name, default and description of the keys of one table."""
    for field in msgspec.structs.fields(struct):
        if not isinstance(field.default, msgspec.Struct):
            yield field.name, field.default, get_args(field.type)[1]


def _known_names() -> list[str]:
    """Every key and table, with dots."""
    names = []
    for field in msgspec.structs.fields(Config):
        names.append(field.name)
        if isinstance(field.default, msgspec.Struct):
            names += [f"{field.name}.{key}" for key in field.default.__struct_fields__]
    return names


def _nearest(key: str) -> str:
    """The known key most like `key`, also when it stands in the wrong table."""
    last = key.rpartition(".")[2]

    def likeness(name: str) -> tuple[float, float]:
        whole = difflib.SequenceMatcher(None, key, name).ratio()
        return max(whole, difflib.SequenceMatcher(None, last, name.rpartition(".")[2]).ratio()), whole

    return max(_known_names(), key=likeness)


def _read(struct: type[msgspec.Struct], values: dict[str, Any], path: Path, table: str = "") -> Any:
    """The struct with the values of one table, each checked."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    read: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{table}{key}"
        if key not in fields:
            raise ConfigUnknownKey(path=str(path), key=name, nearest=_nearest(name))
        field = fields[key]
        if isinstance(field.default, msgspec.Struct):
            if not isinstance(value, dict):
                raise _invalid(path, name, tr("a table, written [{name}]", name=name))
            read[key] = _read(field.type, value, path, f"{name}.")
        else:
            read[key] = _checked(value, field.type, path, name)
    return struct(**read)


def _checked(value: Any, annotation: Any, path: Path, name: str) -> Any:
    expected = expected_text(value, annotation)
    if expected:
        raise _invalid(path, name, expected)
    kind, _ = get_args(annotation)
    return kind(value)


def expected_text(value: Any, annotation: Any) -> str:
    """What the value of a setting must be, as a part of a sentence; empty where it is that.

    Args:
        annotation: of the field that it is for.
    """
    kind, meta = get_args(annotation)
    choices = (meta.extra or {}).get("choices")
    if choices:
        quoted = ", ".join(f"“{choice}”" for choice in choices)
        return "" if value in choices else tr("one of {choices}", choices=quoted)
    if kind is str:
        return "" if isinstance(value, str) else tr("a text in quotes")
    if _is_number(value, kind, meta):
        return ""
    template = mark("a whole number from {low}") if kind is int else mark("a number from {low}")
    if meta.le is not None:
        template = (
            mark("a whole number from {low} to {high}")
            if kind is int
            else mark("a number from {low} to {high}")
        )
    return tr(template, low=meta.ge, high=meta.le)


def _is_number(value: Any, kind: type, meta: Meta) -> bool:
    """Whether `value` is a number of that kind within the limits; 3.0 is no whole number."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (kind is int and not isinstance(value, int)) or meta.ge is None:
        return False
    return bool(meta.ge <= value <= (math.inf if meta.le is None else meta.le))


def _invalid(path: Path, name: str, expected: str) -> ConfigInvalid:
    return ConfigInvalid(path=str(path), reason=tr("“{key}” must be {expected}", key=name, expected=expected))
