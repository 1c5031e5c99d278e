"""The logits that a model gives to a text: read as a prompt, or written token by token as an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hearth.engine.ort_runner import OrtRunner
from hearth.errors import ModelRunFailed, ModelUnsupported
from hearth.i18n import tr

Steps = Callable[[int, int], Iterator[tuple[int, int]]]


class RunnerScorer:
    """A loaded model as one that scores; its cache is its own.

    Attributes:
        name: of the model, for errors.
        vocab_size: length of a row of logits.
        context_length: most tokens of one text.
    """

    def __init__(self, runner: OrtRunner, name: str, steps: Steps) -> None:
        """`steps`: first and end of each piece that so many tokens are read in, for rows of such a length.

        Raises:
            ModelUnsupported: the graph gives logits of the last token only, and cannot be asked for others.
        """
        if not runner.can_score:
            raise ModelUnsupported(name=name, reason=tr("its graph gives no logits but of the last token"))
        self._runner = runner
        self.name = name
        self._steps = steps
        self.vocab_size = runner.vocab_size
        self.context_length = runner.context_length

    def read(self, window: Sequence[int]) -> Iterator[np.ndarray]:
        """The logits after each token, float32 [n, vocab], in pieces.

        Raises:
            ModelRunFailed: onnxruntime fails, or there is too little memory for keys and values.
        """
        self._reserve(1, len(window))
        self._runner.truncate(0, 0)
        for first, end in self._steps(len(window), self.vocab_size):
            yield self._runner.score(0, window[first:end])

    def write(self, windows: Sequence[Sequence[int]], start: int) -> Iterator[np.ndarray]:
        """After reading `start` tokens of each, the logits [windows, vocab] after each further one; raises as `read`."""
        length = len(windows[0])
        self._reserve(len(windows), length)
        for slot, window in enumerate(windows):
            self._runner.truncate(slot, 0)
            self._runner.prefill(slot, window[:start])
        for place in range(start, length):
            yield self._runner.decode(0, [window[place] for window in windows])

    def _reserve(self, slots: int, length: int) -> None:
        if not self._runner.reserve(slots, length):
            raise ModelRunFailed(name=self.name, reason=tr("the memory for its context is too small"))
