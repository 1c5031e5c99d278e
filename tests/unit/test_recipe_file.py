"""Recipe files: what comes with Hearth reads, what is wrong is named, and what is written reads the same."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import RecipeInvalid, RecipeUnknown, RecipeUnknownKey
from hearth.quantize.mixed_precision import open_schemes
from hearth.quantize.recipe import Mixed, Override, Recipe
from hearth.quantize.recipe_file import DEFAULT_RECIPE, load_recipe, parse_recipe, recipe_names, recipe_text
from hearth.quantize.rounding.rounding import ROUNDINGS
from hearth.quantize.rounding.scheme import Scheme

PATH = Path("mine.toml")


def test_the_recipes_that_come_with_hearth() -> None:
    assert recipe_names() == ["balanced", "int8", "quality", "reference", "small"]
    assert DEFAULT_RECIPE in recipe_names()


@pytest.mark.parametrize("name", ["balanced", "int8", "quality", "reference", "small"])
def test_each_reads_and_says_what_it_is_for(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.rounding in ROUNDINGS
    assert parse_recipe(recipe_text(recipe), PATH) == recipe


def test_a_recipe_of_ones_own_is_given_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "tight.toml"
    path.write_text("bits = 2\n[[overrides]]\npattern = '*.down_proj'\nbits = 4\n", encoding="utf-8-sig")
    recipe = load_recipe(str(path))
    assert recipe.name == "tight"
    assert recipe.scheme_for("model.layers.3.mlp.down_proj") == Scheme(4)
    assert recipe.scheme_for("model.layers.3.mlp.up_proj") == Scheme(2)


def test_a_text_is_named_from_where_the_recipe_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    path = tmp_path / "mine.toml"
    for written, meant in (
        ("words.txt", tmp_path / "words.txt"),
        ("~/words.txt", tmp_path / "home" / "words.txt"),
        (str(tmp_path / "other.txt"), tmp_path / "other.txt"),
    ):
        path.write_text(f"calibration = '{written}'")
        assert load_recipe(str(path)).calibration == str(meant)
    path.write_text("calibration = 'built-in'")
    assert load_recipe(str(path)).calibration == "built-in"


def test_floats_are_not_calibrated_whatever_rounds_the_rest() -> None:
    balanced = load_recipe("balanced")
    for bits, is_calibrated in ((16, False), (32, False), (8, True)):
        recipe = balanced.with_bits(bits)
        assert (recipe.is_calibrated, recipe.has_feedback) == (is_calibrated, is_calibrated)
    assert parse_recipe("bits = 16\nhead_bits = 8\nrounding = 'gptq'", PATH).has_feedback
    assert parse_recipe("bits = 16\nkv_cache = 'int8'", PATH).is_calibrated


def test_the_last_override_that_matches_counts() -> None:
    recipe = parse_recipe(
        "[[overrides]]\npattern = '*'\nbits = 8\nsymmetric = false\n[[overrides]]\npattern = '*.o_proj'\nbits = 4\n",
        PATH,
    )
    assert recipe.scheme_for("model.layers.0.attn.o_proj") == Scheme(4, is_symmetric=False)
    assert recipe.scheme_for("lm_head") == Scheme(8, is_symmetric=False)


def test_an_embedding_is_as_the_head_unless_it_is_said_otherwise() -> None:
    assert parse_recipe("head_bits = 8", PATH).scheme_for("model.embed_tokens").bits == 8
    assert parse_recipe("head_bits = 8", PATH).shares_embedding
    assert not parse_recipe("head_bits = 8\nembedding_bits = 4", PATH).shares_embedding


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("bit = 4", "bit", "bits"),
        ("blocksize = 4", "blocksize", "block_size"),
        ("is_symmetric = true", "is_symmetric", "symmetric"),
        ("[mixed]\nbits_per_weigth = 4.5", "mixed.bits_per_weigth", "bits_per_weight"),
        ("[[overrides]]\npatern = '*'", "overrides.patern", "pattern"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(text: str, key: str, nearest: str) -> None:
    with pytest.raises(RecipeUnknownKey) as caught:
        parse_recipe(text, PATH)
    assert caught.value.params == {"path": "mine.toml", "key": key, "nearest": nearest}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bits = 3", "“bits” must be one of 2, 4, 8, 16, 32"),
        ("bits = 4.0", "“bits” must be one of"),
        ("bits = true", "“bits” must be one of"),
        ("bits = '4'", "“bits” must be one of"),
        ("bits = " + "9" * 400, "“bits” must be one of"),
        ("block_size = 48", "“block_size” must be one of 16, 32, 64, 128, 256"),
        ("symmetric = 1", "“symmetric” must be true or false"),
        ("rounding = 'awk'", "“rounding” must be one of “nearest”"),
        ("calibration = 3", "“calibration” must be a text in quotes"),
        ("calibration_tokens = 10", "“calibration_tokens” must be a whole number from 256 to 1048576"),
        ("calibration_tokens = " + "9" * 400, "“calibration_tokens” must be a whole number"),
        ("context = 4096", "“context” must be one of “original”, “long”"),
        ("kv_cache = 'int4'", "“kv_cache” must be one of “float”, “int8”"),
        ("kv_cache = 'int8'\ntarget = 'gpu'", "“kv_cache” can be “int8” only where “target” is “cpu”"),
        ("accuracy_level = 2", "“accuracy_level” must be one of 1, 4"),
        ("mixed = 4.5", "“mixed” must be a table, written [mixed]"),
        ("[mixed]", "“mixed” needs either bits_per_weight or bytes"),
        ("[mixed]\nbits_per_weight = 4.5\nbytes = 9", "“mixed” needs either bits_per_weight or bytes"),
        ("[mixed]\nbits_per_weight = nan", "“mixed.bits_per_weight” must be a number above 0, up to 32"),
        ("[mixed]\nbits_per_weight = 0", "“mixed.bits_per_weight” must be a number above 0, up to 32"),
        ("[mixed]\nbits_per_weight = " + "9" * 400, "“mixed.bits_per_weight” must be a number"),
        ("[mixed]\nbytes = 9e9", "“mixed.bytes” must be a whole number"),
        ("[mixed]\nbytes = 9\nbits = [4, 5]", "“mixed.bits” must be a list of some of 2, 4, 8, 16, 32"),
        ("[mixed]\nbytes = 9\nbits = []", "“mixed.bits” must be a list"),
        ("[mixed]\nbytes = 9\nbits = 4", "“mixed.bits” must be a list"),
        ("overrides = 'x'", "“overrides” must be tables, each written [[overrides]]"),
        ("[[overrides]]\nbits = 4", "“overrides.pattern” is missing"),
        ("[[overrides]]\npattern = '*'\nbits = 7", "“overrides.bits” must be one of"),
        ("bits 4", "it is not valid TOML"),
        ("bits = 4\nbits = 8", "it is not valid TOML"),
        ("x = " + "[" * 5000, "it is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(text: str, reason: str) -> None:
    with pytest.raises(RecipeInvalid) as caught:
        parse_recipe(text, PATH)
    assert reason in caught.value.params["reason"]


def test_a_name_that_no_recipe_has_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeUnknown) as caught:
        load_recipe("ballanced")
    assert caught.value.params["nearest"] == "balanced"


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(RecipeInvalid, match="does not exist"):
        load_recipe(str(path))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeInvalid, match="not UTF-8"):
        load_recipe(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes that have names")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mine.toml")
    with pytest.raises(RecipeInvalid):
        load_recipe(str(tmp_path / "mine.toml"))


def test_bits_and_block_size_of_ones_own_count_in_a_recipe_that_would_choose_them() -> None:
    recipe = load_recipe("balanced").with_bits(8).with_block_size(32)
    assert recipe.mixed is None
    assert recipe.scheme_for("model.layers.0.mlp.down_proj") == Scheme(8, 32, is_symmetric=False)
    mixed = load_recipe("balanced").with_block_size(32)
    schemes = open_schemes(mixed, "model.layers.0.mlp.down_proj")
    assert [(scheme.bits, scheme.block_size) for scheme in schemes] == [(4, 32), (8, 32)]


BITS = st.sampled_from([2, 4, 8, 16, 32])
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
OVERRIDES = st.builds(Override, pattern=NAMES, bits=st.none() | BITS, symmetric=st.none() | st.booleans())
MIXED = st.builds(Mixed, bits_per_weight=st.floats(0.5, 32)) | st.builds(
    Mixed, bytes=st.integers(1, 1 << 40), bits=st.lists(BITS, min_size=1, unique=True).map(tuple)
)


@given(
    st.builds(
        Recipe,
        name=NAMES,
        bits=BITS,
        calibration=NAMES,
        mixed=st.none() | MIXED,
        overrides=st.lists(OVERRIDES).map(tuple),
    )
)
def test_what_is_written_reads_the_same(recipe: Recipe) -> None:
    assert parse_recipe(recipe_text(recipe), PATH) == recipe


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    with contextlib.suppress(RecipeInvalid, RecipeUnknownKey):
        parse_recipe(text, PATH)
