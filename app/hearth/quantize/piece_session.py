"""A piece of a graph at work: its session, and what every run of it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime loads

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto

from hearth.errors import ModelRunFailed
from hearth.quantize.weights import DTYPES

IDS, MASK = "input_ids", "attention_mask"

_DTYPES = DTYPES | {TensorProto.INT64: np.dtype(np.int64), TensorProto.INT8: np.dtype(np.int8)}


class PieceSession:
    """Runs one piece on one text at a time."""

    def __init__(
        self,
        piece: ModelProto,
        name: str,
        threads: int,
        *,
        folder: Path | None = None,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Load it.

        Args:
            name: of the model, for errors.
            folder: where its weights lie.
            weights: the weights themselves, where they lie nowhere.

        Raises:
            ModelRunFailed: onnxruntime refuses it.
        """
        self._name = name
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if folder is not None:
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", str(folder)
            )
        # They must live as long as the session is being made.
        values = {key: ort.OrtValue.ortvalue_from_numpy(value) for key, value in (weights or {}).items()}
        if values:
            options.add_external_initializers(list(values), list(values.values()))
        self._past = {
            value.name: _empty(value.type.tensor_type)
            for value in piece.graph.input
            if value.name.startswith("past_key_values.")
        }
        self._dtypes = {value.name: _DTYPES[value.type.tensor_type.elem_type] for value in piece.graph.input}
        self._outputs = [value.name for value in piece.graph.output]
        try:
            self._session = ort.InferenceSession(
                piece.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise self._failed(error) from error

    def run(
        self, values: Mapping[str, np.ndarray], tokens: int, outputs: Sequence[str] = ()
    ) -> Sequence[np.ndarray]:
        """These outputs as float32, or all of the piece's, for a text of so many tokens that is read at once.

        Raises:
            ModelRunFailed: onnxruntime fails.
        """
        # Of the token ids a layer wants to know how many there are.
        ids, mask = np.zeros((1, tokens), np.int64), np.ones((1, tokens), np.int64)
        given = {**self._past, IDS: ids, MASK: mask, **values}
        feeds = {name: given[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()}
        try:
            made = self._session.run(list(outputs) or self._outputs, feeds)
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise self._failed(error) from error
        return [output.astype(np.float32, copy=False) for output in made]

    def _failed(self, error: Exception) -> ModelRunFailed:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return ModelRunFailed(name=self._name, reason=lines[0][:300])


def _empty(tensor: TensorProto) -> np.ndarray:
    """Keys or values of no tokens: [1, kv_heads, 0, head_dim]."""
    _, heads, _, dim = tensor.shape.dim
    return np.zeros((1, heads.dim_value, 0, dim.dim_value), _DTYPES[tensor.elem_type])
