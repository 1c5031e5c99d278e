"""Which matrix gets how many bits: the least loss within a budget."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

import msgspec

from hearth.errors import BudgetTooSmall
from hearth.quantize.calibration.findings import Findings
from hearth.quantize.recipe import EMBEDDING, HEAD, Override, Recipe, choice_name
from hearth.quantize.rounding.scheme import Scheme


@dataclass(frozen=True, slots=True)
class Option:
    """One scheme for a matrix: what it takes in bytes, and what it spoils."""

    scheme: Scheme
    bytes: int
    loss: float


def open_schemes(recipe: Recipe, name: str) -> list[Scheme]:
    """What the recipe leaves open for the matrix of this module; nothing where it says its bits."""
    if recipe.mixed is None:
        return []
    said = [override for override in recipe.overrides if fnmatchcase(name, override.pattern)]
    is_said = any(override.bits for override in said)
    if name in (HEAD, EMBEDDING):
        is_said = is_said or bool(recipe.head_bits)
    if name == EMBEDDING:
        is_said = is_said or bool(recipe.embedding_bits)
    if is_said:
        return []
    scheme = recipe.scheme_for(name)
    sizes = recipe.mixed.block_sizes
    if not sizes or any(override.block_size for override in said):
        sizes = (scheme.block_size,)
    return [
        Scheme(bits, block_size, scheme.is_symmetric)
        for bits in recipe.mixed.bits
        # Smaller blocks of 8 bits take room and win next to nothing.
        for block_size in (sizes if bits < 8 else [max(sizes)])
    ]


def resolve(recipe: Recipe, found: Findings, is_tied: bool) -> Recipe:
    """The recipe with its choices made: plain overrides in place of a budget.

    A budget of bits per weight counts what whole blocks hold, so a model whose rows are shorter than a block has more.

    Args:
        is_tied: whether head and embedding are one matrix; it is then kept once, unless the recipe parts them.

    Raises:
        BudgetTooSmall: the fewest bits take more than the budget.
    """
    if recipe.mixed is None:
        return recipe
    open_for = {name: list(found.losses.get(choice_name(name), ())) for name in found.shapes}
    losses = dict(found.losses)
    is_one = is_tied and recipe.shares_embedding and bool(open_for[HEAD]) == bool(open_for[EMBEDDING])
    if is_one:  # and is kept in a way that is open to both
        others = losses.get(EMBEDDING, {})
        open_for[HEAD] = [scheme for scheme in open_for[HEAD] if scheme in others]
        losses[HEAD] = {scheme: losses[HEAD][scheme] + others[scheme] for scheme in open_for[HEAD]}
    sizes: dict[str, Counter[Scheme]] = {}
    fixed, numbers = 0, 0
    for name, (rows, columns) in found.shapes.items():
        if is_one and name == EMBEDDING:
            continue
        shape = (rows, columns, recipe.scale_bytes)
        if not open_for[name]:
            numbers += rows * columns
            fixed += recipe.scheme_for(name).bytes(*shape)
            continue
        # The last block of a row is kept whole; where rows are short, no choice of bits makes up for that.
        block = min((scheme.block_size for scheme in open_for[name] if not scheme.is_float), default=1)
        numbers += rows * -(-columns // block) * block
        chosen_for = choice_name(name)
        for scheme in open_for[name]:
            sizes.setdefault(chosen_for, Counter())[scheme] += scheme.bytes(*shape)
    options = {
        name: [Option(scheme, size, losses[name][scheme]) for scheme, size in known.items()]
        for name, known in sizes.items()
    }
    # What is told below must do: it is no float that is exact.
    budget = recipe.mixed.bytes or int(recipe.mixed.bits_per_weight * numbers / 8 + 1e-6)
    least = fixed + sum(min(option.bytes for option in known) for known in options.values())
    if least > budget:
        bits = math.ceil(100 * 8 * least / numbers) / 100
        raise BudgetTooSmall(missing=least - budget, least=f"{bits:.2f}")
    chosen = choose(options, budget - fixed)
    if is_one and HEAD in chosen:
        chosen[EMBEDDING] = chosen[HEAD]
    return _written(recipe, chosen)


def choose(options: Mapping[str, Sequence[Option]], budget: int) -> dict[str, Scheme]:
    """One option for each name, with the least sum of losses that the greedy way finds within so many bytes.

    The budget has room for the cheapest of all.

    Each starts with its cheapest; then the steps that win most for a byte are taken first (the lower convex hull of
    each name's options makes this the Lagrangian's optimum, up to the last step). The same input gives the same choice.
    """
    chosen: dict[str, Option] = {}
    steps: list[tuple[float, str, Option, Option]] = []
    for name, known in options.items():
        hull = _lower_hull(known)
        chosen[name] = hull[0]
        for before, after in pairwise(hull):
            worth = (before.loss - after.loss) / (after.bytes - before.bytes)
            steps.append((-worth, name, before, after))
    left = budget - sum(option.bytes for option in chosen.values())
    for _, name, before, after in sorted(steps, key=lambda step: step[:2]):
        if chosen[name] is before and after.bytes - before.bytes <= left:
            left -= after.bytes - before.bytes
            chosen[name] = after
    return {name: option.scheme for name, option in chosen.items()}


def _lower_hull(options: Sequence[Option]) -> list[Option]:
    """From the cheapest on, those that win more and more slowly; each better than the one before."""
    hull: list[Option] = []
    for option in sorted(options, key=lambda known: (known.bytes, known.loss)):
        if hull and option.loss >= hull[-1].loss:
            continue
        while len(hull) > 1 and _worth(hull[-2], hull[-1]) <= _worth(hull[-2], option):
            hull.pop()
        hull.append(option)
    return hull


def _worth(before: Option, after: Option) -> float:
    return (before.loss - after.loss) / (after.bytes - before.bytes)


def _written(recipe: Recipe, chosen: Mapping[str, Scheme]) -> Recipe:
    """The choices as overrides, before those that it has; what was not chosen keeps the recipe's bits.

    Args:
        chosen: by the names of modules, or by what stands for several.
    """
    overrides = [
        Override(
            pattern=name,
            bits=None if scheme.bits == recipe.bits else scheme.bits,
            block_size=None if scheme.block_size == recipe.block_size else scheme.block_size,
        )
        for name, scheme in chosen.items()
    ]
    needed = [override for override in overrides if override.bits or override.block_size]
    return msgspec.structs.replace(recipe, mixed=None, overrides=(*needed, *recipe.overrides))
