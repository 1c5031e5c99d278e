"""A model on a text, beside its reference: read as prompts are, and written as answers are, alone and several at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hearth.model_folder.quality import Measured, Way
from hearth.quantize.quality.agreement import Agreement

BATCH_ROWS = 4
# Writing is slow, so only the ends of the first windows are written.
WRITTEN_WINDOWS, WRITTEN_TOKENS = 8, 64

Window = Sequence[int]


class Reader(Protocol):
    """What gives logits of windows; all that a reference need be."""

    def read(self, window: Window) -> Iterator[np.ndarray]:
        """The logits after each token, float32 [n, vocab], in the pieces of `windows.steps`.

        Called once for each window, in their order.
        """
        ...


class Scorer(Reader, Protocol):
    """A loaded model, which also writes."""

    def write(self, windows: Sequence[Window], start: int) -> Iterator[np.ndarray]:
        """Read the first `start` tokens of each; then the logits after each further one, all windows together.

        float32 [windows, vocab], a token at a time; the windows are of one length.
        """
        ...


@dataclass
class Evaluator:
    """One evaluation.

    Attributes:
        windows: of at least two tokens each; the first is the longest.
        advance: told how many tokens are done, of how many; what it raises ends the evaluation.
    """

    scorer: Scorer
    reference: Reader | None
    windows: Sequence[Window]
    advance: Callable[[int, int], None]
    _sums: dict[Way, Agreement] = field(init=False, default_factory=dict)
    _done: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        longest = len(self.windows[0])
        alike = [window for window in self.windows[:WRITTEN_WINDOWS] if len(window) == longest]
        self._rows = min(BATCH_ROWS, len(alike))
        self._written = len(alike) // self._rows * self._rows
        # Something stands before what is written, as in an answer.
        self._start = max(longest - 1 - WRITTEN_TOKENS, longest // 2)
        ways = 2 if self._rows > 1 else 1
        read = sum(len(window) - 1 for window in self.windows)
        self._whole = read + ways * self._written * (longest - 1 - self._start)

    def run(self) -> tuple[Measured, ...]:
        """The figures of each way; several texts at once only where there are several.

        Raises:
            NotFinite: some logits are.
        """
        waiting: list[tuple[Window, np.ndarray | None]] = []
        for number, window in enumerate(self.windows):
            tail = self._read(window)
            if number < self._written:
                waiting.append((window, tail))
            if len(waiting) == self._rows:
                self._write(waiting)
                waiting = []
        return tuple(
            sums.measured(way, self._rows if way is Way.BATCH else 1) for way, sums in self._sums.items()
        )

    def _read(self, window: Window) -> np.ndarray | None:
        """Compare all positions; the reference's logits of those that may be written."""
        references = self.reference.read(window[:-1]) if self.reference else None
        tail, first = [], 0
        for logits in self.scorer.read(window[:-1]):
            reference = None if references is None else next(references)
            self._add(Way.PREFILL, window[first + 1 : first + 1 + len(logits)], logits, reference)
            if reference is not None:
                tail.append(reference[max(0, self._start - first) :].copy())
            first += len(logits)
        return np.concatenate(tail) if tail else None

    def _write(self, group: Sequence[tuple[Window, np.ndarray | None]]) -> None:
        """Compare the ends of these windows, written one by one and then together."""
        for one in group:
            self._write_together(Way.SINGLE, [one])
        if len(group) > 1:
            self._write_together(Way.BATCH, group)

    def _write_together(self, way: Way, group: Sequence[tuple[Window, np.ndarray | None]]) -> None:
        windows = [window[:-1] for window, _ in group]
        for step, logits in enumerate(self.scorer.write(windows, self._start)):
            targets = [window[self._start + step + 1] for window, _ in group]
            rows = [tail[step] for _, tail in group if tail is not None]
            self._add(way, targets, logits, np.stack(rows) if rows else None)

    def _add(self, way: Way, targets: Window, logits: np.ndarray, reference: np.ndarray | None) -> None:
        sums = self._sums.setdefault(way, Agreement())
        sums.add(np.asarray(targets), logits, reference)
        self._done += len(targets)
        self.advance(self._done, self._whole)
