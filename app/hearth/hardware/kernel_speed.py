"""How fast ONNX Runtime's kernels are here: those in which a model on the processor spends nearly all of its time.

Small graphs of one operator each are run as models run them: products with weights of 4 bits and activations rounded to
int8 (`MatMulNBits`), and attention over keys and values in float32 (`GroupQueryAttention`), with one token and with a
chunk of a prompt. What a processor's instructions, caches and cores are good for is all in that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from statistics import median

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime loads

import numpy as np
import onnxruntime as ort
from onnx import GraphProto, TensorProto, helper

# Of a matrix, and so many of them that a desktop's caches do not hold them: 151 MB as the kernel keeps them.
_WIDTH, _MATRICES = 2048, 64
_BLOCK = 128
_SMALL_MATRICES = 128
# Bytes of a weight as the kernel keeps it: four bits, and a scale and a sum for each block (`models/weights.py`).
_WEIGHT_BYTES = 4 / 8 + 8 / _BLOCK
# Tokens of a prompt that a slow machine reads at a time, and what it reads at least (`engine/scheduler.py`).
_CHUNK, _SMALL_CHUNK = 64, 16
_HEADS, _KV_HEADS, _HEAD_SIZE = 16, 4, 128
# As many tokens as a long conversation has, and as many layers as make their keys and values larger than caches: 134 MB.
_BEFORE, _LAYERS = 8192, 4
_SECONDS, _MOST_SECONDS, _LEAST_RUNS = 0.3, 2.0, 5
# The codes are 1 to 15 around the zero point 8; with their variance the numbers keep their size from product to product.
_VARIANCE = 56 / 3


def measure_kernels(cores: int) -> dict[str, float]:
    """Measure for five seconds, or some more on a slow machine, with so many threads, in half a gigabyte.

    Returns:
        By the names that `models/speeds.py` explains.
    """
    return _product_speeds(cores) | _attention_speeds(cores)


def _product_speeds(cores: int) -> dict[str, float]:
    large, small = _products(cores, _WIDTH, _MATRICES), _products(cores, _BLOCK, _SMALL_MATRICES)
    size = _WIDTH * _WIDTH * _MATRICES
    rate, half = _hockney(lambda tokens: 2 * tokens * size / _seconds(lambda: large(tokens)))
    return {
        "token_rate": size * _WEIGHT_BYTES / _seconds(lambda: large(1)),
        "prompt_rate": rate,
        "prompt_half": half,
        "operator_seconds": _seconds(lambda: small(1)) / _SMALL_MATRICES,
    }


def _attention_speeds(cores: int) -> dict[str, float]:
    attention, numbers = _attention(cores), 4 * _HEADS * _HEAD_SIZE
    prompt_rate, prompt_half = _hockney(
        lambda tokens: numbers * tokens * (_BEFORE + tokens / 2) / _seconds(lambda: attention(tokens))
    )
    return {
        "token_attention_rate": numbers * (_BEFORE + 1) / _seconds(lambda: attention(1)),
        "prompt_attention_rate": prompt_rate,
        "prompt_attention_half": prompt_half,
    }


def _hockney(rate: Callable[[int], float]) -> tuple[float, float]:
    """r_inf and n_1/2: the rate with chunks of any length, and the length with which half of it is reached.

    Hockney and Jesshope, Parallel Computers (1981): `rate(n) = r_inf * n / (n + n_1/2)`.
    """
    small, large = _SMALL_CHUNK / rate(_SMALL_CHUNK), _CHUNK / rate(_CHUNK)
    # Where noise makes the smaller chunk the faster one, its length costs nothing.
    each = min((large - small) / (_CHUNK - _SMALL_CHUNK), large / _CHUNK)
    return 1 / each, max(0.0, large / each - _CHUNK)


def _products(cores: int, width: int, matrices: int) -> Callable[[int], object]:
    """A chain of products, each [rows, width] by [width, width]."""
    blocks = width // _BLOCK
    random = np.random.default_rng(0)
    given = {f"weights{number}": _codes(random, (width, blocks, _BLOCK // 2)) for number in range(matrices)}
    given["scales"] = np.full(width * blocks, (width * _VARIANCE) ** -0.5, np.float32)
    nodes = [
        helper.make_node(
            "MatMulNBits",
            [f"x{number}", f"weights{number}", "scales"],
            [f"x{number + 1}"],
            domain="com.microsoft",
            K=width,
            N=width,
            bits=4,
            block_size=_BLOCK,
            accuracy_level=4,
        )
        for number in range(matrices)
    ]
    inputs = [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["rows", width])]
    outputs = [helper.make_tensor_value_info(f"x{matrices}", TensorProto.FLOAT, ["rows", width])]
    session = _session(helper.make_graph(nodes, "products", inputs, outputs), cores, given)
    return lambda rows: session.run(None, {"x0": np.ones((rows, width), np.float32)})


def _codes(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Two codes in each byte."""
    low, high = random.integers(1, 16, (2, *shape), np.uint8)
    codes: np.ndarray = low | high << 4
    return codes


def _attention(cores: int) -> Callable[[int], object]:
    """So many new tokens after those before, whose keys and values lie where the new ones go; a layer at each call."""
    wide, narrow = _HEADS * _HEAD_SIZE, _KV_HEADS * _HEAD_SIZE
    cache = (1, _KV_HEADS, _BEFORE + _CHUNK, _HEAD_SIZE)
    named: dict[str, tuple[int, list[str | int | None]]] = {
        "query": (TensorProto.FLOAT, [1, "tokens", wide]),
        "key": (TensorProto.FLOAT, [1, "tokens", narrow]),
        "value": (TensorProto.FLOAT, [1, "tokens", narrow]),
        "past_key": (TensorProto.FLOAT, list(cache)),
        "past_value": (TensorProto.FLOAT, list(cache)),
        "last": (TensorProto.INT32, [1]),
        "total": (TensorProto.INT32, []),
    }
    node = helper.make_node(
        "GroupQueryAttention",
        list(named),
        ["answer", "present_key", "present_value"],
        domain="com.microsoft",
        num_heads=_HEADS,
        kv_num_heads=_KV_HEADS,
    )
    inputs = [helper.make_tensor_value_info(name, kind, dims) for name, (kind, dims) in named.items()]
    outputs = [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [1, "tokens", wide])] + [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(cache))
        for name in ("present_key", "present_value")
    ]
    session = _session(helper.make_graph([node], "attention", inputs, outputs), cores)
    # All of them now, since a first write to memory takes longer than attention does.
    layers = [
        [ort.OrtValue.ortvalue_from_numpy(np.full(cache, 0.01, np.float32)) for _ in ("key", "value")]
        for _ in range(_LAYERS)
    ]
    turn = cycle(layers)

    def run(tokens: int) -> None:
        binding = session.io_binding()
        for name, width in (("query", wide), ("key", narrow), ("value", narrow)):
            binding.bind_cpu_input(name, np.full((1, tokens, width), 0.01, np.float32))
        for name, buffer in zip(("key", "value"), next(turn), strict=True):
            binding.bind_ortvalue_input(f"past_{name}", buffer)
            binding.bind_ortvalue_output(f"present_{name}", buffer)
        binding.bind_cpu_input("last", np.array([_BEFORE + tokens - 1], np.int32))
        binding.bind_cpu_input("total", np.array(_BEFORE + tokens, np.int32))
        binding.bind_output("answer")
        session.run_with_iobinding(binding)

    return run


def _session(
    graph: GraphProto, cores: int, given: Mapping[str, np.ndarray] | None = None
) -> ort.InferenceSession:
    """Of a graph whose initializers are `given`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # They must live as long as the session is being made.
    values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in (given or {}).items()}
    for name, value in (given or {}).items():
        tensor = graph.initializer.add(name=name, dims=value.shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        tensor.external_data.add(key="location", value=name)
    if values:
        options.add_external_initializers(list(values), list(values.values()))
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _seconds(run: Callable[[], object]) -> float:
    """The middle of many runs: as a model has it, neither the machine's best moment nor its worst."""
    run()  # threads start, pages come
    found: list[float] = []
    begin = time.perf_counter()
    end, at_most = begin + _SECONDS, begin + _MOST_SECONDS
    while not found or time.perf_counter() < (end if len(found) >= _LEAST_RUNS else at_most):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return median(found)
