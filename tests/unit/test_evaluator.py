"""How a text is cut and evaluated, with a model that knows no more than a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.model_folder.quality import Way
from hearth.quantize.quality.evaluator import BATCH_ROWS, WRITTEN_TOKENS, WRITTEN_WINDOWS, Evaluator
from hearth.quantize.quality.windows import cut_windows, steps

VOCABULARY = 11


class TableModel:
    """Its logits depend on the last token and its place alone, so each position is told apart."""

    def __init__(self, seed: int) -> None:
        self._table = (
            np.random.default_rng(seed).normal(size=(VOCABULARY, 600, VOCABULARY)).astype(np.float32)
        )
        self.written: list[tuple[int, int]] = []

    def rows(self, window: Sequence[int], start: int, stop: int) -> np.ndarray:
        places = np.arange(start, stop)
        return self._table[np.asarray(window)[places], places]

    def read(self, window: Sequence[int]) -> Iterator[np.ndarray]:
        for first in range(0, len(window), 7):
            yield self.rows(window, first, min(len(window), first + 7))

    def write(self, windows: Sequence[Sequence[int]], start: int) -> Iterator[np.ndarray]:
        self.written.append((len(windows), start))
        for place in range(start, len(windows[0])):
            yield np.concatenate([self.rows(window, place, place + 1) for window in windows])


def cut(tokens: int, length: int) -> list[tuple[int, ...]]:
    ids = np.random.default_rng(1).integers(0, VOCABULARY, tokens).tolist()
    return cut_windows(ids, None, length)


@given(st.integers(0, 300), st.integers(2, 60), st.sampled_from([None, 99]))
def test_windows_hold_every_token_once_in_its_order(tokens: int, length: int, bos: int | None) -> None:
    ids = list(range(tokens))
    windows = cut_windows(ids, bos, length)
    assert all(2 <= len(window) <= length for window in windows)
    assert all(len(window) == length for window in windows[:-1])
    if bos is not None:
        assert all(window[0] == bos for window in windows)
    held = [token for window in windows for token in window[0 if bos is None else 1 :]]
    assert held in (ids, ids[:-1])  # a token by itself predicts nothing


@given(st.integers(1, 5000), st.integers(1, 300_000))
def test_a_window_is_read_in_pieces_of_more_than_one_token(tokens: int, vocab_size: int) -> None:
    pieces = list(steps(tokens, vocab_size))
    assert [first for first, _ in pieces] == [0, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == tokens
    if tokens > 1:
        assert min(end - first for first, end in pieces) > 1 or (1 << 24) // vocab_size < 4
    assert max(end - first for first, end in pieces) <= max(2, (1 << 24) // vocab_size)


def test_nothing_is_read_of_no_tokens() -> None:
    assert list(steps(0, 100)) == []


def test_every_way_finds_a_model_equal_to_itself() -> None:
    windows = cut(1000, 100)
    model = TableModel(1)
    told: list[tuple[int, int]] = []
    measured = Evaluator(model, TableModel(1), windows, lambda done, whole: told.append((done, whole))).run()
    assert [one.way for one in measured] == [Way.PREFILL, Way.SINGLE, Way.BATCH]
    for one in measured:
        assert one.kl_divergence
        assert one.kl_divergence.value == 0
        assert one.top1_agreement
        assert one.top1_agreement.value == 1
    assert told[-1][0] == told[-1][1] == sum(one.positions for one in measured)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_the_ends_of_the_first_windows_are_written_alone_and_together() -> None:
    model = TableModel(1)
    measured = Evaluator(model, TableModel(2), cut(1000, 100), lambda _done, _whole: None).run()
    assert [one.rows for one in measured] == [1, 1, BATCH_ROWS]
    assert measured[0].positions == 10 * 99
    assert measured[1].positions == measured[2].positions == WRITTEN_WINDOWS * min(WRITTEN_TOKENS, 49)
    # The same positions, and a model that does not mind its neighbours.
    for single, batch in (
        (measured[1].kl_divergence, measured[2].kl_divergence),
        (measured[1].perplexity, measured[2].perplexity),
    ):
        assert single
        assert batch
        assert single.value == pytest.approx(batch.value, rel=1e-9)
    assert sorted(set(model.written)) == [(1, 50), (BATCH_ROWS, 50)]


@pytest.mark.parametrize(("tokens", "rows"), [(250, 2), (130, 1), (30, 1), (2, 1)])
def test_a_short_text_is_written_with_as_many_rows_as_it_has(tokens: int, rows: int) -> None:
    measured = Evaluator(TableModel(1), TableModel(2), cut(tokens, 100), lambda _done, _whole: None).run()
    ways = {one.way: one.rows for one in measured}
    assert ways.get(Way.BATCH, 1) == rows
    assert (Way.SINGLE in ways) == (tokens > 2)


def test_without_a_reference_there_are_perplexities() -> None:
    for one in Evaluator(TableModel(1), None, cut(300, 100), lambda _done, _whole: None).run():
        assert one.kl_divergence is None
        assert one.perplexity.value > 1


def test_what_the_progress_raises_ends_the_evaluation() -> None:
    def stop(done: int, whole: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Evaluator(TableModel(1), None, cut(300, 100), stop).run()
