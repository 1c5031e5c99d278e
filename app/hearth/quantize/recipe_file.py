"""Recipes as TOML files that a person reads and writes: found by name or path, checked, and written out again."""

from __future__ import annotations

import difflib
import math
import textwrap
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec import Meta

from hearth.errors import ModelFileInvalid, RecipeInvalid, RecipeUnknown, RecipeUnknownKey
from hearth.i18n import mark, tr
from hearth.model_folder.json_file import read_capped
from hearth.paths import resource
from hearth.quantize.recipe import BUILT_IN_TEXT, NO_TEXT, Mixed, Override, Recipe

DEFAULT_RECIPE = "balanced"
_MAX_BYTES = 1 << 20
_LINE = 100
_ABOUT_MIXED = (
    "Bits and blocks chosen for each matrix by what they spoil on the calibration text, within a budget: bits_per_weight,"
    " a mean over all matrices with their scales, or bytes, the size of all."
)
_EXAMPLE_MIXED = ("#[mixed]", "#bits_per_weight = 5.3", "#bits = [4, 8]", "#block_sizes = [32, 64, 128]")
_ABOUT_OVERRIDES = (
    "What is otherwise for the matrices whose names match a pattern: bits, block_size, symmetric. The last that matches"
    " counts. Names are such as model.layers.0.mlp.down_proj, model.embed_tokens and lm_head."
)
_EXAMPLE_OVERRIDES = ("#[[overrides]]", '#pattern = "*.down_proj"', "#bits = 8")


def recipe_names() -> list[str]:
    """The recipes that come with Hearth."""
    return sorted(path.stem for path in resource("recipes").glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of that name, or in the file at that path.

    Raises:
        RecipeUnknown: it is neither.
        RecipeInvalid, RecipeUnknownKey: the file fails a check.
    """
    path = Path(name)
    if name not in recipe_names() and (path.suffix == ".toml" or path.is_file()):
        return _read_file(path)
    return load_built_in_recipe(name)


def load_built_in_recipe(name: str) -> Recipe:
    """The recipe of that name that comes with Hearth. Raises RecipeUnknown where there is none."""
    names = recipe_names()
    if name in names:
        return _read_file(resource("recipes", f"{name}.toml"))
    nearest = max(names, key=lambda known: difflib.SequenceMatcher(None, name, known).ratio())
    raise RecipeUnknown(name=name[:100], nearest=nearest, names=", ".join(names))


def parse_recipe(text: str, path: Path) -> Recipe:
    """The recipe in the text of the file `path`.

    Raises:
        RecipeInvalid, RecipeUnknownKey: what is wrong, and where.
    """
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeInvalid(
            path=str(path), reason=tr("it is not valid TOML: {detail}", detail=error)
        ) from error
    recipe: Recipe = _struct(Recipe, {"name": path.stem, **values}, path, "")
    mixed = recipe.mixed
    if mixed is not None and bool(mixed.bytes) == bool(mixed.bits_per_weight):
        reason = tr("“mixed” needs either bits_per_weight or bytes")
        raise RecipeInvalid(path=str(path), reason=reason)
    if recipe.has_int8_cache and recipe.target_is_gpu:
        reason = tr("“kv_cache” can be “int8” only where “target” is “cpu”")
        raise RecipeInvalid(path=str(path), reason=reason)
    return recipe


def recipe_text(recipe: Recipe) -> str:
    """The recipe as a file, with what each key means; `parse_recipe` reads the same recipe from it."""
    lines: list[str] = []
    for key, meta in _metas(Recipe).items():
        if meta is not None:
            lines += [*_comment(meta.description or ""), f"{key} = {_value(getattr(recipe, key))}", ""]
    lines += _comment(_ABOUT_MIXED)
    lines += ["[mixed]", *_pairs(recipe.mixed), ""] if recipe.mixed else [*_EXAMPLE_MIXED, ""]
    lines += _comment(_ABOUT_OVERRIDES)
    for override in recipe.overrides:
        lines += ["[[overrides]]", *_pairs(override), ""]
    return "\n".join(lines if recipe.overrides else [*lines, *_EXAMPLE_OVERRIDES, ""])


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _LINE, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _read_file(path: Path) -> Recipe:
    if path.exists() and not path.is_file():
        raise RecipeInvalid(path=str(path), reason=tr("it is not a regular file"))
    try:
        text = read_capped(path, _MAX_BYTES).decode("utf-8-sig")
    except ModelFileInvalid as error:
        raise RecipeInvalid(path=str(path), reason=error.params["reason"]) from error
    except UnicodeDecodeError as error:
        raise RecipeInvalid(path=str(path), reason=tr("it is not UTF-8 text")) from error
    recipe = parse_recipe(text, path)
    if recipe.calibration in (NO_TEXT, BUILT_IN_TEXT):
        return recipe
    # So it is the same file from wherever the work is gone on with.
    calibration = str(path.parent.absolute() / _at_home(Path(recipe.calibration)))
    # Where the folder's name is no text, nothing is there under the name that is told.
    return msgspec.structs.replace(recipe, calibration=calibration.encode(errors="replace").decode())


def _at_home(path: Path) -> Path:
    """With a home folder in place of `~`, where there is one."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _pairs(struct: msgspec.Struct) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in msgspec.to_builtins(struct).items()]


def _value(value: Any) -> str:
    """JSON's texts, numbers, booleans and flat lists are TOML's too."""
    # TOML takes what JSON writes, but for this one control character, which JSON lets stand.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _metas(struct: type[msgspec.Struct]) -> dict[str, Meta | None]:
    """What is known of each key; None for a table."""
    return {
        field.name: next((part for part in get_args(field.type) if isinstance(part, Meta)), None)
        for field in msgspec.structs.fields(struct)
    }


def _struct(struct: type[msgspec.Struct], values: Mapping[str, Any], path: Path, table: str) -> Any:
    """The struct with the values of one table, each checked."""
    fields = {field.name: field for field in msgspec.structs.fields(struct)}
    read: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{table}{key}"
        if key not in fields:
            nearest = max(fields, key=lambda known: difflib.SequenceMatcher(None, key, known).ratio())
            raise RecipeUnknownKey(path=str(path), key=name[:100], nearest=nearest)
        if key == "mixed":
            if not isinstance(value, dict):
                raise _invalid(path, name, tr("a table, written [{name}]", name=name))
            read[key] = _struct(Mixed, value, path, "mixed.")
        elif key == "overrides":
            if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
                raise _invalid(path, name, tr("tables, each written [[{name}]]", name=name))
            read[key] = tuple(_struct(Override, item, path, "overrides.") for item in value)
        else:
            read[key] = _checked(value, fields[key].type, path, name)
    for field in fields.values():
        if field.required and field.name not in read:
            raise RecipeInvalid(path=str(path), reason=tr("“{key}” is missing", key=f"{table}{field.name}"))
    return struct(**read)


def _checked(value: Any, annotation: Any, path: Path, name: str) -> Any:
    kind, meta = get_args(annotation)
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    choices = (meta.extra or {}).get("choices")
    if choices:
        is_list = tuple in (getattr(known, "__origin__", known) for known in kinds)
        items = value if is_list and isinstance(value, list) and value else [value]
        if not all(type(item) is type(choices[-1]) and item in choices for item in items) or (
            is_list and items is not value
        ):
            allowed = ", ".join(
                f"“{choice}”" if isinstance(choice, str) else str(choice) for choice in choices
            )
            template = mark("a list of some of {choices}") if is_list else mark("one of {choices}")
            raise _invalid(path, name, tr(template, choices=allowed))
        return tuple(dict.fromkeys(items)) if is_list else value
    if bool in kinds:
        if not isinstance(value, bool):
            raise _invalid(path, name, tr("true or false"))
        return value
    if str in kinds:
        if not isinstance(value, str) or not value:
            raise _invalid(path, name, tr("a text in quotes"))
        return value
    return _number(value, kinds[0], meta, path, name)


def _number(value: Any, kind: type, meta: Meta, path: Path, name: str) -> int | float:
    low: Any = meta.ge if meta.gt is None else meta.gt
    high: Any = meta.le
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        is_number = is_number and isinstance(value, int)
    if (
        not is_number
        or not math.isfinite(value if kind is float and isinstance(value, float) else 0)
        or value > high
        or (value < low if meta.gt is None else value <= low)
    ):
        template = (
            mark("a whole number from {low} to {high}")
            if kind is int
            else mark("a number above {low}, up to {high}")
        )
        raise _invalid(path, name, tr(template, low=low, high=high))
    return int(value) if kind is int else float(value)


def _invalid(path: Path, name: str, expected: str) -> RecipeInvalid:
    return RecipeInvalid(
        path=str(path), reason=tr("“{key}” must be {expected}", key=name[:100], expected=expected)
    )
