"""Keys and values on the disk: what comes back is what was saved, or nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from disks import small_disk
from hearth.engine.kv_cache import KVCache, KVShape
from hearth.engine.kv_store import LEAST_TOKENS, KVStore

SHAPE = KVShape(layers=3, kv_heads=2, head_dim=16, dtype=np.dtype(np.float32))
TOKENS = np.arange(LEAST_TOKENS + 44)


def filled(seed: int = 0) -> KVCache:
    """A cache of two slots; the first holds noise for TOKENS."""
    cache = KVCache(SHAPE, max_slots=2, max_length=512, byte_budget=1 << 24)
    assert cache.reserve(2, len(TOKENS))
    rng = np.random.default_rng(seed)
    for buffers in (cache.keys, cache.values):
        for buffer in buffers:
            buffer.write(0, rng.standard_normal(buffer.shape[1:]))
    cache.lengths[0] = len(TOKENS)
    return cache


def opened(folder: Path, *, model: str = "m", byte_limit: int = 1 << 24, shape: KVShape = SHAPE) -> KVStore:
    return KVStore(folder, model, shape, byte_limit)


def save(store: KVStore, tokens: np.ndarray = TOKENS) -> None:
    for _ in store.save(tokens, filled(), 0, time.time_ns()):
        pass


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


@pytest.mark.parametrize("shared", [LEAST_TOKENS, len(TOKENS)])
def test_after_a_restart_a_beginning_is_there_to_the_last_bit(tmp_path: Path, shared: int) -> None:
    save(opened(tmp_path))
    store = opened(tmp_path)
    prompt = np.concatenate([TOKENS[:shared], [9999, 9999]])
    stored, length = store.longest_shared(prompt)
    assert stored is not None
    assert length == shared
    cache, target = filled(), filled(1)
    assert store.load(stored, target, 1, length)
    assert target.lengths[1] == shared
    for buffers, others in ((cache.keys, target.keys), (cache.values, target.values)):
        for buffer, other in zip(buffers, others, strict=True):
            np.testing.assert_array_equal(other.read(1, shared), buffer.read(0, shared))


def test_only_the_owner_may_read_what_is_kept(tmp_path: Path) -> None:
    save(opened(tmp_path))
    assert only_file(tmp_path).stat().st_mode & 0o077 == 0


def test_what_is_short_or_there_already_is_not_worth_saving(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.is_worth_saving(TOKENS, time.time_ns())
    assert not store.is_worth_saving(TOKENS[: LEAST_TOKENS - 1], time.time_ns())
    save(store)
    assert not store.is_worth_saving(TOKENS, time.time_ns())
    assert not store.is_worth_saving(TOKENS[:-10], time.time_ns())
    assert store.longest_shared(TOKENS[: LEAST_TOKENS - 1]) == (None, 0)
    assert not opened(tmp_path / "new", byte_limit=1000).is_worth_saving(TOKENS, time.time_ns())


def test_a_conversation_that_went_on_takes_the_place_of_its_beginning(tmp_path: Path) -> None:
    store = opened(tmp_path)
    save(store, TOKENS[:-10])
    save(store)
    assert only_file(tmp_path)
    assert store.longest_shared(TOKENS)[1] == len(TOKENS)


def test_the_files_stay_under_their_limit_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    size = len(TOKENS) * SHAPE.bytes_per_token
    store = opened(tmp_path, byte_limit=int(2.5 * size))
    variants = [TOKENS + 1000 * number for number in range(3)]
    for number, tokens in enumerate(variants[:2]):
        save(store, tokens)
        stored, _ = store.longest_shared(tokens)
        assert stored is not None
        os.utime(stored.file, (number, number))
    stored, length = store.longest_shared(variants[0])
    assert stored is not None
    assert store.load(stored, filled(), 1, length)  # used now
    save(store, variants[2])
    assert [store.longest_shared(tokens)[1] for tokens in variants] == [len(TOKENS), 0, len(TOKENS)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_save_that_is_left_off_leaves_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    saving = store.save(TOKENS, filled(), 0, 1)
    next(saving)
    del saving
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    old, young = tmp_path / "old.part", tmp_path / "young.part"
    for part in (old, young):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    opened(tmp_path)
    assert list(tmp_path.iterdir()) == [young]  # another process may be writing it


def test_a_file_of_another_model_is_left_alone_and_one_of_another_layout_is_removed(tmp_path: Path) -> None:
    save(opened(tmp_path))
    other = opened(tmp_path, model="other")
    assert other.longest_shared(TOKENS) == (None, 0)
    assert only_file(tmp_path)
    half = KVShape(layers=3, kv_heads=2, head_dim=16, dtype=np.dtype(np.float16))
    assert opened(tmp_path, shape=half).longest_shared(TOKENS) == (None, 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "longer", "empty", "noise", "no line", "no text", "huge"])
def test_a_damaged_file_is_removed_when_the_model_is_loaded(tmp_path: Path, damage: str) -> None:
    save(opened(tmp_path))
    file = only_file(tmp_path)
    data = file.read_bytes()
    head, _, body = data.partition(b"\n")
    file.write_bytes(
        {
            "cut": data[:-1],
            "longer": data + b"x",
            "empty": b"",
            "noise": np.random.default_rng(0).bytes(len(data)),
            "no line": head + body,
            "no text": head.replace(b'"m"', b'"\xff"') + b"\n" + body,
            "huge": head.replace(b'"tokens":300', b'"tokens":1000000000000') + b"\n" + body,
        }[damage]
    )
    assert opened(tmp_path).longest_shared(TOKENS) == (None, 0)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_read_now_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(opened(tmp_path))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert opened(tmp_path).longest_shared(TOKENS) == (None, 0)
    monkeypatch.undo()
    assert opened(tmp_path).longest_shared(TOKENS)[0] is not None


def test_one_wrong_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    save(opened(tmp_path))
    file = only_file(tmp_path)
    data = file.read_bytes()
    body = data.index(b"\n") + 1
    for place in np.random.default_rng(0).integers(body, len(data), 40):
        broken = bytearray(data)
        broken[place] ^= 1
        file.write_bytes(broken)
        store = opened(tmp_path)
        stored, length = store.longest_shared(TOKENS)
        assert stored is None or not store.load(stored, filled(), 1, length)
        assert store.longest_shared(TOKENS) == (None, 0)
        assert not file.exists()


def test_two_processes_that_keep_the_same_conversation_leave_one_whole_file(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    savings = first.save(TOKENS, filled(), 0, 1), second.save(TOKENS, filled(), 0, 1)
    for _ in zip(*savings, strict=True):
        pass
    stored, length = opened(tmp_path).longest_shared(TOKENS)
    assert stored is not None
    assert opened(tmp_path).load(stored, filled(), 1, length)


def test_a_file_that_vanishes_is_no_error(tmp_path: Path) -> None:
    save(opened(tmp_path))
    store = opened(tmp_path)
    stored, length = store.longest_shared(TOKENS)
    assert stored is not None
    stored.file.unlink()
    assert not store.load(stored, filled(), 1, length)


def test_on_a_full_disk_nothing_is_kept_and_nothing_breaks(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 100_000) as disk:
        store = opened(disk)
        save(store)
        assert not list(disk.iterdir())
        assert store.longest_shared(TOKENS) == (None, 0)
