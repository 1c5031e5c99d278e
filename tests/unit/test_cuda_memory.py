"""Slot buffers on a GPU, against a driver that is none: addresses, pitches, zeros, and what is given back."""

from __future__ import annotations

import numpy as np
import pytest

from hearth.engine.cuda_memory import CudaFailed, CudaMemory
from hearth.engine.kv_cache import KVCache, KVShape
from hearth.engine.kv_memory import HOST, KVMemory
from stand_in_cuda import Driver

HALF = np.dtype(np.float16)
SHAPE = KVShape(layers=2, kv_heads=3, head_dim=4, dtype=HALF)


@pytest.fixture
def driver() -> Driver:
    return Driver(1 << 20)


@pytest.fixture
def memory(driver: Driver) -> CudaMemory:
    return CudaMemory(driver)


def noise(heads: int, length: int, head_dim: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((heads, length, head_dim)).astype(HALF)


def held(cache: KVCache) -> np.ndarray:
    """All that its slots hold."""
    buffers = (*cache.keys, *cache.values)
    return np.stack([buffer.read(slot, cache.length) for buffer in buffers for slot in range(cache.slots)])


def test_what_is_allocated_is_zero_and_what_nobody_needs_is_freed(driver: Driver, memory: CudaMemory) -> None:
    buffer = memory.allocate((2, 3, 64, 4), HALF)
    assert not buffer.read(1, 64).any()
    assert memory.free_bytes() == driver.size - 2 * 3 * 64 * 4 * 2
    del buffer
    assert not driver.blocks
    assert memory.free_bytes() == driver.size


@pytest.mark.parametrize("where", ["host", "device"])
def test_a_slot_holds_what_was_written_and_its_neighbours_nothing(where: str, memory: CudaMemory) -> None:
    place: KVMemory = HOST if where == "host" else memory
    buffer, other = place.allocate((3, 3, 64, 4), HALF), place.allocate((2, 3, 128, 4), HALF)
    tokens = noise(3, 50)
    buffer.write(1, tokens[:, :40])  # a part of an array, as of a stored file
    np.testing.assert_array_equal(buffer.read(1, 40), tokens[:, :40])
    assert not buffer.read(1, 64)[:, 40:].any()
    assert not buffer.read(0, 64).any()
    assert not buffer.read(2, 64).any()
    other.copy_from(buffer, 1, 0, 30)
    np.testing.assert_array_equal(other.read(0, 30), tokens[:, :30])
    assert not other.read(0, 128)[:, 30:].any()
    assert not other.read(1, 128).any()
    buffer.copy_from(other, 0, 2, 20)
    np.testing.assert_array_equal(buffer.read(2, 20), tokens[:, :20])
    buffer.copy_from(other, 0, 1, 0)
    np.testing.assert_array_equal(buffer.read(1, 40), tokens[:, :40])
    assert buffer.pointer(2) - buffer.pointer(1) == 3 * 64 * 4 * 2


def test_every_copy_is_over_when_it_returns(driver: Driver, memory: CudaMemory) -> None:
    buffer = memory.allocate((2, 3, 64, 4), HALF)
    assert not driver.pending
    buffer.write(0, noise(3, 8))
    assert not driver.pending
    buffer.copy_from(buffer, 0, 1, 8)
    assert not driver.pending


def test_a_copy_beyond_a_buffer_is_an_error_of_the_driver(memory: CudaMemory) -> None:
    buffer = memory.allocate((2, 3, 64, 4), HALF)
    with pytest.raises(CudaFailed, match="cuMemcpy2DUnaligned_v2: 1"):
        buffer.read(2, 8)


def test_a_cache_on_a_device_grows_moves_and_swaps_as_on_the_host(driver: Driver, memory: CudaMemory) -> None:
    caches = [
        KVCache(SHAPE, max_slots=4, max_length=1024, byte_budget=1 << 19, memory=place)
        for place in (HOST, memory)
    ]
    for cache in caches:
        assert cache.reserve(2, 64)
        for slot, length in ((0, 60), (1, 7)):
            for number in range(SHAPE.layers):
                cache.keys[number].write(slot, noise(3, length, seed=10 * number + slot))
                cache.values[number].write(slot, noise(3, length, seed=10 * number + slot + 5))
            cache.lengths[slot] = length
        assert cache.reserve(4, 700)
        cache.swap(0, 1)
        cache.move(1, 3)
        cache.copy(3, 2, 33)
    host, device = caches
    assert device.lengths.tolist() == host.lengths.tolist() == [7, 0, 33, 60]
    np.testing.assert_array_equal(held(host), held(device))
    device.release()
    assert not driver.blocks


def test_a_full_device_says_so(memory: CudaMemory) -> None:
    cache = KVCache(SHAPE, max_slots=8, max_length=1 << 16, byte_budget=1 << 30, memory=memory)
    with pytest.raises(MemoryError):
        cache.reserve(8, 1 << 16)
