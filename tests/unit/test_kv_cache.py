"""The slot buffers: growth inside a budget, with what they hold."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hearth.engine.kv_cache import LENGTH_STEP, KVCache, KVShape

SHAPE = KVShape(layers=2, kv_heads=2, head_dim=4, dtype=np.dtype(np.float32))


def cache_of(budget_tokens: int = 10_000, max_slots: int = 4) -> KVCache:
    return KVCache(
        SHAPE, max_slots=max_slots, max_length=1024, byte_budget=budget_tokens * SHAPE.bytes_per_token
    )


def fill(cache: KVCache, slot: int, length: int) -> None:
    """Mark a slot's tokens with its number."""
    for buffer in [*cache.keys, *cache.values]:
        buffer.write(slot, np.full((SHAPE.kv_heads, length, SHAPE.head_dim), slot + 1, SHAPE.dtype))
    cache.lengths[slot] = length


def holds(cache: KVCache, slot: int, mark: int, length: int) -> bool:
    return all((buffer.read(slot, length) == mark).all() for buffer in [*cache.keys, *cache.values])


def test_a_token_of_all_layers_has_the_bytes_it_has() -> None:
    assert SHAPE.bytes_per_token == 2 * 2 * 2 * 4 * 4


def test_nothing_is_allocated_before_it_is_asked_for_and_nothing_after_release() -> None:
    cache = cache_of()
    assert cache.allocated_bytes == 0
    assert cache.reserve(2, 10)
    assert cache.allocated_bytes > 0
    cache.release()
    assert cache.allocated_bytes == 0
    assert not cache.lengths.any()


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 1024)), min_size=1, max_size=12))
def test_growing_keeps_what_is_held_and_stays_inside_the_budget(requests: list[tuple[int, int]]) -> None:
    cache = cache_of(budget_tokens=1500)
    held: dict[int, int] = {}
    for more_slots, more_length in requests:
        before = cache.generation, cache.slots, cache.length
        # As the scheduler does: never ask for less than what is held.
        slots = max([more_slots, *(slot + 1 for slot in held)])
        length = max([more_length, *held.values()])
        if cache.reserve(slots, length):
            assert cache.slots >= slots
            assert cache.length >= length
            assert cache.length % LENGTH_STEP == 0
        else:
            assert slots * length > 1500 - slots * LENGTH_STEP
            assert before == (cache.generation, cache.slots, cache.length)
            continue
        assert cache.allocated_bytes <= cache.byte_budget
        for slot, used in held.items():
            assert holds(cache, slot, slot + 1, used)
        fill(cache, slots - 1, length)
        held[slots - 1] = length


def test_room_that_nobody_asks_for_is_given_up_where_memory_is_short() -> None:
    cache = cache_of(budget_tokens=1024)
    assert cache.reserve(4, 256)
    fill(cache, 0, 200)
    assert cache.reserve(1, 1024)
    assert cache.slots == 1
    assert holds(cache, 0, 1, 200)
    assert cache.reserve(4, 256)
    assert cache.length == 256
    assert holds(cache, 0, 1, 200)


def test_moving_and_swapping_take_the_tokens_along() -> None:
    cache = cache_of()
    cache.reserve(3, 64)
    fill(cache, 0, 5)
    fill(cache, 2, 60)
    cache.swap(0, 2)
    assert holds(cache, 0, 3, 60)
    assert holds(cache, 2, 1, 5)
    assert cache.lengths.tolist() == [60, 0, 5, 0]
    cache.move(2, 1)
    assert holds(cache, 1, 1, 5)
    assert cache.lengths.tolist() == [60, 5, 0, 0]


def test_bindings_learn_that_buffers_moved() -> None:
    cache = cache_of()
    cache.reserve(1, 64)
    generation = cache.generation
    assert cache.reserve(1, 64)
    assert cache.generation == generation
    cache.reserve(4, 64)
    assert cache.generation != generation
