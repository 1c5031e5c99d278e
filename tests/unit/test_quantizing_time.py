"""How long quantizing takes, told before: longer for larger models and for finer ways, shorter on faster machines."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from hearth.models.fit import MachineSpec
from hearth.models.shape import ModelShape
from hearth.models.speeds import Speeds
from hearth.quantize.recipe_file import load_recipe
from hearth.quantize.rounding.rounding import ROUNDINGS
from hearth.services import quantizing_time
from hearth.services.quality import REPORT_TOKENS
from hearth.services.quantizing_time import quantizing_seconds
from machine_speeds import speeds

MACHINE = MachineSpec(memory_bytes=8 << 30, cores=2, speeds=speeds(2e10, 2e11))
SHAPE = ModelShape(
    architecture="qwen2",
    context=32768,
    layers=28,
    hidden_size=1536,
    intermediate_size=8960,
    heads=12,
    kv_heads=2,
    head_size=128,
    vocab_size=151936,
    tied=True,
)


def seconds(recipe: str, shape: ModelShape = SHAPE, machine: MachineSpec = MACHINE) -> float:
    return quantizing_seconds(shape, load_recipe(recipe), machine)


def test_a_finer_recipe_takes_longer() -> None:
    assert 0 < seconds("int8") < seconds("small") < seconds("balanced")


@pytest.mark.parametrize("recipe", ["balanced", "small", "int8"])
def test_a_larger_model_takes_longer_and_a_faster_machine_shorter(recipe: str) -> None:
    wider = msgspec.structs.replace(SHAPE, hidden_size=3584, intermediate_size=18944)
    assert seconds(recipe, wider) > 2 * seconds(recipe)
    faster = replace(MACHINE, cores=8, speeds=speeds(2e10, 8e11))
    assert seconds(recipe, machine=faster) == pytest.approx(seconds(recipe) / 4)


def test_experts_count_all_though_a_token_uses_few() -> None:
    experts = msgspec.structs.replace(
        SHAPE, experts=16, experts_used=2, expert_size=4480, intermediate_size=0
    )
    assert seconds("int8", experts) > 2 * seconds("int8")


def test_nothing_is_told_of_a_machine_that_was_not_measured() -> None:
    assert seconds("balanced", machine=replace(MACHINE, speeds=Speeds())) == 0


def test_every_way_to_round_and_the_whole_report_count() -> None:
    assert quantizing_time._ROUNDING_SECONDS.keys() == ROUNDINGS.keys()
    assert quantizing_time._REPORT_TOKENS == REPORT_TOKENS
