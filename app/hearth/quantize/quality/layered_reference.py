"""The unquantized model in float32, one layer in memory at a time: what a quantized one is compared with.

All windows go through a layer before the next one is loaded, so each weight is read from the checkpoint once, however
large the model is beside the memory. What is kept is the hidden state of each token, and in the end the logits come in
slices of the vocabulary. The layers are pieces of the whole float32 graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.data_file import lay_out
from hearth.quantize.decoder import Decoder, Rows
from hearth.quantize.graph.decoder_graph import decoder_graph
from hearth.quantize.piece_session import PieceSession
from hearth.quantize.quality.graph_piece import cut_out, external_names
from hearth.quantize.quality.layer_piece import HIDDEN_RANK, LayerPiece
from hearth.quantize.quality.windows import steps
from hearth.quantize.recipe import HEAD, Recipe
from hearth.quantize.weights import FloatWeight, Matrix, VectorWeight

# With float32 activations too, for matrices that the checkpoint itself has as integers.
FLOAT32 = Recipe(name="float32", bits=32, accuracy_level=1)

# Numbers of the vocabulary's matrix that are in memory at a time: 64 MiB of float32.
_SLICE_NUMBERS = 1 << 24
# The hidden states that the head makes logits of.
_CHOSEN = f"{HEAD}/Unsqueeze"

LayerDone = Callable[[int, Sequence[np.ndarray], Sequence[np.ndarray]], None]
"""The layer's number, and the hidden states [tokens, hidden] of each window before and after it."""


class LayeredReference:
    """The reference of one checkpoint on some windows."""

    def __init__(
        self, checkpoint: Checkpoint, decoder: Decoder, windows: Sequence[Sequence[int]], threads: int
    ) -> None:
        self._checkpoint = checkpoint
        self._decoder = decoder
        # The last token of each predicts nothing that is known.
        self._windows = [window[:-1] for window in windows]
        self._threads = threads
        self._name = checkpoint.name
        # Cosines and sines for no more tokens than are read: for a million they would take gigabytes.
        short = replace(decoder, context_length=max(map(len, windows)))
        self._graph = decoder_graph(short, checkpoint, FLOAT32)
        places, _ = lay_out(self._graph.weights)
        self._model = self._graph.model(places)
        self._weights = {tensor.name: weight for weight in self._graph.weights for tensor in weight.tensors}
        self._hidden: list[np.ndarray] = []
        self._next = 0
        self._head_weights, self._head = self._open_head()

    def run_layers(self, advance: Callable[[int, int], None], layer_done: LayerDone | None = None) -> None:
        """Compute the hidden states behind the last norm.

        Args:
            advance: told how many layers are done, of how many; what it raises ends the computation.

        Raises:
            ModelFileInvalid, ModelFileTruncated: the checkpoint is not what it was.
            ModelRunFailed: onnxruntime fails.
        """
        layers = len(self._decoder.layers)
        hidden = [self._embed(window) for window in self._windows]
        for number in range(layers + 1):  # the last is the norm
            piece = LayerPiece(self._graph, number)
            model = piece.cut_out(self._model)
            session = PieceSession(
                model, self._name, self._threads, weights=self._whole(external_names(model))
            )
            after = [piece.run(session, states) for states in hidden]
            del session  # and its weights, before those of another are loaded
            if layer_done and number < layers:
                layer_done(number, hidden, after)
            hidden = after
            advance(min(number + 1, layers), layers)
        self._hidden = hidden

    def read(self, window: Sequence[int]) -> Iterator[np.ndarray]:
        """The logits of the next window, float32 [n, vocab], in pieces; after `run_layers`."""
        hidden = self._hidden[self._next]
        self._next += 1
        for first, end in steps(len(window), self._decoder.vocab_size):
            yield self._logits(hidden[first:end])

    def _embed(self, window: Sequence[int]) -> np.ndarray:
        table = Matrix(self._checkpoint, (Rows(self._decoder.embedding),))
        known: dict[int, np.ndarray] = {}
        for token in window:
            if token not in known:
                known[token] = table.floats(token, token + 1)[0]
        return np.stack([known[token] for token in window]) * np.float32(self._decoder.embedding_times)

    def _whole(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """These weights of the graph."""
        whole: dict[str, np.ndarray] = {}
        for name in names:
            if name not in whole:
                weight = self._weights[name]
                for tensor, values in zip(weight.tensors, weight.make(0, weight.rows), strict=True):
                    whole[tensor.name] = values.reshape(tensor.shape)
        return {name: whole[name] for name in names}

    def _rows(self, name: str, start: int, stop: int) -> np.ndarray:
        """Some rows of a matrix of floats, or some numbers of a vector."""
        weight = self._weights[name]
        if isinstance(weight, VectorWeight):
            return weight.make(0, 1)[0][0, start:stop]
        return weight.make(start, stop)[0]

    def _open_head(self) -> tuple[list[str], PieceSession]:
        """What makes logits of hidden states, and the weights that each run is given some rows of.

        None where the head is integers in the checkpoint: those are few bytes, and their operator knows how many rows
        there are.
        """
        given = {_CHOSEN: (TensorProto.FLOAT, HIDDEN_RANK)}
        piece = cut_out(self._model, given, ["logits"])
        names = external_names(piece)
        if not all(isinstance(self._weights[name], FloatWeight | VectorWeight) for name in names):
            return [], PieceSession(piece, self._name, self._threads, weights=self._whole(names))
        for name in names:
            given[name] = (TensorProto.FLOAT, len(self._weights[name].tensors[0].shape))
        return names, PieceSession(cut_out(self._model, given, ["logits"]), self._name, self._threads)

    def _logits(self, hidden: np.ndarray) -> np.ndarray:
        """float32 [n, vocab] of hidden states [n, hidden]."""
        vocab_size, width = self._decoder.vocab_size, hidden.shape[1]
        logits = np.empty((len(hidden), vocab_size), np.float32)
        step = max(1, _SLICE_NUMBERS // width) if self._head_weights else vocab_size
        for start in range(0, vocab_size, step):
            stop = min(start + step, vocab_size)
            values = {name: self._rows(name, start, stop) for name in self._head_weights}
            values[_CHOSEN] = hidden[None]
            logits[:, start:stop] = self._head.run(values, len(hidden))[0][0]
        return logits
