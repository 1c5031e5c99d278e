"""ModelRunner over raw onnxruntime, with IOBinding on slot buffers.

The graph is that of onnxruntime-genai's builder: `input_ids` [batch, tokens], `attention_mask` [batch, total] of ones
then zeros, from which the graph derives each row's length, an optional `position_ids`, and past and present keys and
values that share their buffer (`GroupQueryAttention`). Logits are [batch, 1, vocab] where the head is pruned to the
last position, else [batch, tokens, vocab]; a pruned head is opened again for `score`, see `model_folder/positions.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime loads

import numpy as np
import onnxruntime as ort

from hearth.engine.kv_cache import LENGTH_STEP, KVCache, KVShape, round_up
from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.kv_store import LEAST_TOKENS, KVStore
from hearth.engine.ort_session import first_line, open_packed, open_session
from hearth.engine.packed_weights import PackedWeights
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.registry import CPU
from hearth.errors import ModelLoadFailed, ModelRunFailed, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.genai_config import Model
from hearth.model_folder.int8_cache import Scale
from hearth.model_folder.positions import POSITIONS

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(int8)": np.dtype(np.int8),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(int32)": np.dtype(np.int32),
}

# Left free on a device with memory of its own: for what kernels and libraries take when they first run, activations of
# the longest chunk, and (beside this) the largest matrix as floats, since some kernels unpack it.
_WORKING_BYTES = 512 << 20
# A device on which no conversation of this many tokens fits is left for one on which more do.
_LEAST_CONTEXT = 2048
LAST_POSITION = np.array([-1], np.int64)


class OrtRunner:
    """One decoder-only model in this process.

    Attributes:
        cache: the slot buffers.
        past_names: per layer, the inputs that are its keys and its values.
        kv_store: where their contents are kept on disk; None keeps nothing.
        is_packed: its weights are mapped from their packed form.
    """

    def __init__(
        self,
        folder: ModelFolder,
        name: str,
        *,
        threads: int,
        max_slots: int,
        kv_cache_bytes: int,
        max_context: int = 0,
        provider: Provider = CPU,
        kv_scales: Mapping[str, Scale] | None = None,
        packed: PackedWeights | None = None,
        machine: str = "",
        memory_bytes: int = 0,
    ) -> None:
        """Load the model.

        Args:
            kv_scales: has keys and values kept as int8; by the names of the inputs that are the past.
            packed: where its weights may lie packed; None loads them as they are.
            machine: the processor that they are packed for.
            memory_bytes: of the machine, as far as this app may use it; 0 where that is not known.

        Raises:
            ModelLoadFailed: onnxruntime cannot load it, or the device's memory is too small.
            ModelUnsupported: it loads, but its inputs and outputs are not those of a text decoder; or its graph takes
                no scales.
        """
        self._name = name
        config = folder.config.model
        session = None
        if packed is not None:
            session = open_packed(folder, threads, packed, machine, memory_bytes)
        self.is_packed = session is not None
        self._session = session or open_session(folder, name, threads, provider, kv_scales, memory_bytes)
        memory = _memory(name, provider)
        # What lies in another memory than the session's is copied there when it is bound.
        self._binds_copies = provider.ort_name != CPU.ort_name and memory.device == HOST.device
        shape = self._read_graph(config)
        context = min(config.context_length, max_context or config.context_length)
        self.max_slots = max_slots
        byte_budget = kv_cache_bytes
        free = memory.free_bytes()
        if free is not None:
            largest_matrix = self.vocab_size * config.decoder.hidden_size * self._logits_dtype.itemsize
            byte_budget = max(0, min(byte_budget, free - largest_matrix - _WORKING_BYTES))
        # One sequence of full length must always fit, so the budget bounds the context.
        fitting = [
            bytes_ // shape.bytes_per_token // LENGTH_STEP * LENGTH_STEP
            for bytes_ in (byte_budget, kv_cache_bytes)
        ]
        self.context_length = min(context, fitting[0])
        if self.context_length < min(context, fitting[1], _LEAST_CONTEXT):
            raise ModelLoadFailed(name=name, reason=tr("the memory of the device is too small"))
        self.cache = KVCache(
            shape,
            max_slots=max_slots,
            max_length=self.context_length,
            byte_budget=byte_budget,
            memory=memory,
        )
        self.kv_store: KVStore | None = None
        # The rotary tables of the graph end at the model's own context.
        self._mask_limit = config.context_length
        self._bindings: dict[tuple[int, int], ort.IOBinding] = {}
        self._bindings_generation = -1

    def _read_graph(self, config: Model) -> KVShape:
        """Learn the names, types and abilities of the graph. The answer is the shape of its keys and values.

        Raises:
            ModelUnsupported: its inputs and outputs are not those of a text decoder.
        """
        name, decoder = self._name, config.decoder
        inputs = {node.name: node for node in self._session.get_inputs()}
        outputs = {node.name: node for node in self._session.get_outputs()}
        layers = [str(layer) for layer in range(decoder.num_hidden_layers)]
        self.past_names = _names(decoder.inputs.past_key_names, decoder.inputs.past_value_names, layers)
        self._present = _names(decoder.outputs.present_key_names, decoder.outputs.present_value_names, layers)
        self._ids_name = decoder.inputs.input_ids
        self._mask_name = decoder.inputs.attention_mask
        self._logits_name = decoder.outputs.logits
        positions_name = decoder.inputs.position_ids
        self._positions_name = positions_name if positions_name in inputs else None

        known = {
            self._ids_name,
            self._mask_name,
            positions_name,
            *(n for pair in self.past_names for n in pair),
        }
        foreign = sorted(inputs.keys() - known)
        if foreign:
            raise ModelUnsupported(name=name, reason=tr("its graph asks for “{name}”", name=foreign[0]))

        past = inputs[self.past_names[0][0]]
        logits = outputs[self._logits_name]
        self._ids_dtype = self._dtype(name, inputs[self._ids_name])
        self._mask_dtype = self._dtype(name, inputs[self._mask_name])
        self._logits_dtype = self._dtype(name, logits)
        # Which positions have logits: those asked for, the last one, or all.
        self._takes_positions = POSITIONS in {
            node.name for node in self._session.get_overridable_initializers()
        }
        self._pruned_head = logits.shape[1] == 1
        self.can_score = self._takes_positions or not self._pruned_head
        kv_heads, head_dim = past.shape[1], past.shape[3]
        self.vocab_size = logits.shape[2] if isinstance(logits.shape[2], int) else config.vocab_size
        return KVShape(
            layers=decoder.num_hidden_layers,
            kv_heads=kv_heads if isinstance(kv_heads, int) else decoder.num_key_value_heads,
            head_dim=head_dim if isinstance(head_dim, int) else decoder.head_size,
            dtype=self._dtype(name, past),
        )

    @staticmethod
    def _dtype(name: str, node: Any) -> np.dtype:
        try:
            dtype = _DTYPES[node.type]
        except KeyError:
            raise ModelUnsupported(
                name=name, reason=tr("{name} has the type {type}", name=node.name, type=node.type)
            ) from None
        return dtype

    def reserve(self, slots: int, length: int) -> bool:
        try:
            return self.cache.reserve(slots, length)
        except (OSError, MemoryError) as error:
            # Half of the buffers may have moved: none can be trusted.
            self.cache.release()
            raise ModelRunFailed(name=self._name, reason=first_line(error)) from error

    def move(self, source: int, target: int) -> None:
        self.cache.move(source, target)

    def swap(self, first: int, second: int) -> None:
        self.cache.swap(first, second)

    def copy(self, source: int, target: int, length: int) -> None:
        self.cache.copy(source, target, length)

    def truncate(self, slot: int, length: int) -> None:
        self.cache.lengths[slot] = length

    def restore(self, slot: int, token_ids: np.ndarray, held: int) -> int:
        if self.kv_store is None or len(token_ids) < held + LEAST_TOKENS:
            return held
        stored, shared = self.kv_store.longest_shared(token_ids)
        if stored is None or shared < held + LEAST_TOKENS:
            return held
        if self.kv_store.load(stored, self.cache, slot, shared):
            return shared
        self.cache.lengths[slot] = 0  # some of it may be written over
        return 0

    def store(self, slot: int, token_ids: np.ndarray, used: int) -> Iterator[None] | None:
        if self.kv_store is None or not self.kv_store.is_worth_saving(token_ids, used):
            return None
        return self.kv_store.save(token_ids, self.cache, slot, used)

    def release(self) -> None:
        self._bindings.clear()
        self.cache.release()

    def prefill(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        ids = np.asarray([token_ids], self._ids_dtype)
        past = int(self.cache.lengths[slot])
        # Exact, not rounded up: the kernel takes a first prompt for one by total == new tokens.
        mask = np.ones((1, past + ids.shape[1]), self._mask_dtype)
        row: np.ndarray = self._run(slot, ids, mask)[0, -1]
        return row

    def score(self, slot: int, token_ids: Sequence[int]) -> np.ndarray:
        ids = np.asarray([token_ids], self._ids_dtype)
        past = int(self.cache.lengths[slot])
        mask = np.ones((1, past + ids.shape[1]), self._mask_dtype)
        rows: np.ndarray = self._run(slot, ids, mask, np.arange(ids.shape[1]))[0]
        return rows

    def decode(self, first: int, token_ids: Sequence[int]) -> np.ndarray:
        ids = np.asarray(token_ids, self._ids_dtype)[:, None]
        return self._run(first, ids, self._decode_mask(first, len(token_ids)))[:, -1]

    def _decode_mask(self, first: int, rows: int) -> np.ndarray:
        """Ones for each row's tokens with the new one, then zeros; as wide as the longest, rounded up."""
        lengths = self.cache.lengths[first : first + rows] + 1
        width = min(round_up(int(lengths.max())), self._mask_limit)
        mask: np.ndarray = (np.arange(width) < lengths[:, None]).astype(self._mask_dtype)
        return mask

    def _run(
        self, slot: int, ids: np.ndarray, mask: np.ndarray, positions: np.ndarray = LAST_POSITION
    ) -> np.ndarray:
        """Logits [rows, positions, vocab] of `positions` or, where the graph is not asked, of the last or of all."""
        rows, tokens = ids.shape
        count = len(positions) if self._takes_positions else 1 if self._pruned_head else tokens
        logits = np.empty((rows, count, self.vocab_size), self._logits_dtype)
        binding = self._binding(slot, rows)
        self._bind_input(binding, self._ids_name, ids)
        self._bind_input(binding, self._mask_name, mask)
        if self._takes_positions:
            self._bind_input(binding, POSITIONS, positions)
        if self._positions_name:
            first = self.cache.lengths[slot : slot + rows, None]
            place = (first + np.arange(tokens)).astype(self._ids_dtype)
            self._bind_input(binding, self._positions_name, place)
        binding.bind_output(self._logits_name, "cpu", 0, self._logits_dtype, logits.shape, logits.ctypes.data)
        # Everything bound by pointer stays referenced by a local name until the run is over.
        try:
            self._session.run_with_iobinding(binding)
        except Exception as error:  # onnxruntime's exceptions share no base but Exception
            raise ModelRunFailed(name=self._name, reason=first_line(error)) from error
        self.cache.lengths[slot : slot + rows] += tokens
        return logits.astype(np.float32, copy=False)

    def _bind_input(self, binding: ort.IOBinding, name: str, array: np.ndarray) -> None:
        binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def _binding(self, slot: int, rows: int) -> ort.IOBinding:
        """Keys and values of slots `slot` to `slot + rows` bound as past and present; kept until they move."""
        if self._binds_copies or self._bindings_generation != self.cache.generation:
            self._bindings.clear()
            self._bindings_generation = self.cache.generation
        binding = self._bindings.get((slot, rows))
        if binding is None:
            binding = self._session.io_binding()
            for layer, (past, present) in enumerate(zip(self.past_names, self._present, strict=True)):
                pair = (self.cache.keys[layer], self.cache.values[layer])
                for past_name, present_name, buffer in zip(past, present, pair, strict=True):
                    shape = (rows, *buffer.shape[1:])
                    where = (self.cache.memory.device, 0, self.cache.shape.dtype, shape, buffer.pointer(slot))
                    binding.bind_input(past_name, *where)
                    binding.bind_output(present_name, *where)
            self._bindings[slot, rows] = binding
        return binding


def _memory(name: str, provider: Provider) -> KVMemory:
    try:
        return provider.kv_memory()
    except Exception as error:  # a driver's
        raise ModelLoadFailed(name=name, reason=first_line(error)) from error


def _names(key_pattern: str, value_pattern: str, layers: list[str]) -> list[tuple[str, str]]:
    """Per layer, the names of its keys and values."""
    return [(key_pattern.replace("%d", layer), value_pattern.replace("%d", layer)) for layer in layers]
