"""The choice of bits: within the budget, best where it counts, and the same each time."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.errors import BudgetTooSmall
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.mixed_precision import Option, choose, open_schemes, resolve
from hearth.quantize.recipe import EMBEDDING, HEAD, Mixed
from hearth.quantize.recipe_file import load_built_in_recipe, parse_recipe
from hearth.quantize.rounding.scheme import Scheme

TWO, FOUR, EIGHT = Scheme(2), Scheme(4), Scheme(8)


def options(two: float, four: float, eight: float, size: int = 100) -> list[Option]:
    return [Option(TWO, 2 * size, two), Option(FOUR, 4 * size, four), Option(EIGHT, 8 * size, eight)]


def test_the_bytes_go_where_they_win_most() -> None:
    known = {"calm": options(2, 1, 0.5), "touchy": options(50, 9, 0.1)}
    assert choose(known, 1600) == {"calm": EIGHT, "touchy": EIGHT}
    assert choose(known, 1200) == {"calm": FOUR, "touchy": EIGHT}
    assert choose(known, 600) == {"calm": TWO, "touchy": FOUR}
    assert choose(known, 400) == {"calm": TWO, "touchy": TWO}


def test_more_bits_that_win_nothing_are_not_taken() -> None:
    assert choose({"only": options(3, 1, 1)}, 10_000) == {"only": FOUR}


def test_a_budget_below_the_fewest_bits_is_refused_with_what_is_missing() -> None:
    losses: dict[str, dict[Scheme, float]] = {name: {FOUR: 1.0} for name in (HEAD, EMBEDDING)}
    found = Findings(shapes=dict.fromkeys(losses, (64, 64)), losses=losses)
    with pytest.raises(BudgetTooSmall) as caught:
        resolve(parse_recipe("[mixed]\nbits_per_weight = 4.99", Path("r.toml")), found, is_tied=False)
    assert caught.value.params == {"missing": 11, "least": "5.00"}
    resolve(parse_recipe("[mixed]\nbits_per_weight = 5.00", Path("r.toml")), found, is_tied=False)


@pytest.mark.parametrize("name", ["balanced", "quality"])
def test_the_recipes_of_the_wizard_do_with_rows_of_any_length(name: str) -> None:
    recipe = load_built_in_recipe(name)
    for columns in (1, 16, 31, 33, 48, 65, 100, 129, 576):
        losses = {
            module: dict.fromkeys(open_schemes(recipe, module), 1.0) for module in (HEAD, "model.layers.0")
        }
        found = Findings(shapes=dict.fromkeys(losses, (10, columns)), losses=losses)
        assert resolve(recipe, found, is_tied=False).mixed is None


LOSSES = st.tuples(*[st.floats(0, 10)] * 3)


@given(st.lists(st.tuples(LOSSES, st.integers(1, 50)), min_size=1, max_size=5), st.floats(0, 1))
def test_no_choice_in_the_budget_is_much_better(
    losses: list[tuple[tuple[float, float, float], int]], share: float
) -> None:
    known = {str(number): options(*values, size=size) for number, (values, size) in enumerate(losses)}
    least = sum(2 * size for _, size in losses)
    budget = int(least + share * 3 * least)
    chosen = choose(known, budget)
    assert chosen == choose(dict(reversed(known.items())), budget)
    by_scheme = {name: {option.scheme: option for option in listed} for name, listed in known.items()}
    taken = [by_scheme[name][scheme] for name, scheme in chosen.items()]
    assert sum(option.bytes for option in taken) <= budget
    best = min(
        sum(option.loss for option in picked)
        for picked in itertools.product(*known.values())
        if sum(option.bytes for option in picked) <= budget
    )
    # The greedy way is the optimum but for the last step that no longer fits.
    largest_step = max(max(values) - min(values) for values, _ in losses)
    assert sum(option.loss for option in taken) <= best + largest_step + 1e-9


def test_what_the_recipe_says_is_not_chosen() -> None:
    recipe = parse_recipe(
        "head_bits = 8\n[mixed]\nbits_per_weight = 5\n[[overrides]]\npattern = '*.o_proj'\nbits = 8",
        Path("r.toml"),
    )
    assert open_schemes(recipe, "lm_head") == []
    assert open_schemes(recipe, "model.embed_tokens") == []
    assert open_schemes(recipe, "model.layers.0.attn.o_proj") == []
    assert open_schemes(recipe, "model.layers.0.mlp.up_proj") == [FOUR, EIGHT]
    assert open_schemes(parse_recipe("bits = 4", Path("r.toml")), "model.layers.0.mlp.up_proj") == []


def test_what_was_not_measured_keeps_the_bits_of_the_recipe() -> None:
    """Such as experts whose operator takes no scheme that is open."""
    recipe = parse_recipe("bits = 4\n[mixed]\nbits_per_weight = 9", Path("r.toml"))
    measured = ("lm_head", "model.embed_tokens", "model.layers.0.attn.o_proj")
    shapes = dict.fromkeys(measured, (64, 64))
    found = Findings(shapes=shapes, losses={name: {FOUR: 1.0, EIGHT: 0.0} for name in measured})
    chosen = resolve(recipe, found, is_tied=False)
    assert chosen.scheme_for("model.layers.0.attn.o_proj") == EIGHT
    assert chosen.scheme_for("model.layers.0.mlp.experts.down_proj") == FOUR


def test_the_experts_of_a_layer_are_chosen_together_and_count_with_both_their_matrices() -> None:
    recipe = parse_recipe("bits = 4\n[mixed]\nbits_per_weight = 8.3", Path("r.toml"))
    experts = ("model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj")
    plain = ("lm_head", "model.embed_tokens")
    found = Findings(
        shapes={**dict.fromkeys(plain, (64, 64)), **dict.fromkeys(experts, (256, 64))},
        losses={
            **{name: {FOUR: 1.0, EIGHT: 0.0} for name in plain},
            "model.layers.0.mlp.experts.*": {FOUR: 100.0, EIGHT: 0.0},
        },
    )
    chosen = resolve(recipe, found, is_tied=False)
    # Both of their matrices fit only if all else stays as it is.
    assert {name: chosen.scheme_for(name).bits for name in (*experts, *plain)} == {
        **dict.fromkeys(experts, 8),
        **dict.fromkeys(plain, 4),
    }
    with pytest.raises(BudgetTooSmall):
        resolve(msgspec.structs.replace(recipe, mixed=Mixed(bits_per_weight=4)), found, is_tied=False)


def test_one_matrix_for_head_and_embedding_is_kept_in_a_way_that_is_open_to_both() -> None:
    recipe = parse_recipe(
        "block_size = 64\n[mixed]\nbits_per_weight = 9\nbits = [4]\nblock_sizes = [32, 64]\n"
        "[[overrides]]\npattern = 'model.embed_tokens'\nblock_size = 64",
        Path("r.toml"),
    )
    losses = {
        name: {scheme: 1.0 / scheme.block_size for scheme in open_schemes(recipe, name)}
        for name in ("lm_head", "model.embed_tokens")
    }
    assert len(losses["lm_head"]) > len(losses["model.embed_tokens"])
    chosen = resolve(recipe, Findings(shapes=dict.fromkeys(losses, (64, 64)), losses=losses), is_tied=True)
    assert chosen.scheme_for("lm_head") == chosen.scheme_for("model.embed_tokens") == Scheme(4, 64)


def test_block_sizes_are_open_unless_an_override_says_one() -> None:
    recipe = parse_recipe(
        "[mixed]\nbits_per_weight = 5\nbits = [4]\nblock_sizes = [32, 128]\n"
        "[[overrides]]\npattern = '*.o_proj'\nblock_size = 64",
        Path("r.toml"),
    )
    assert open_schemes(recipe, "model.layers.0.mlp.up_proj") == [Scheme(4, 32), Scheme(4, 128)]
    assert open_schemes(recipe, "model.layers.0.attn.o_proj") == [Scheme(4, 64)]
