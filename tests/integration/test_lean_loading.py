"""A graph is rewritten so that loading it takes less memory, and computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from hearth.model_folder.lean_loading import with_lean_loading
from hearth.model_folder.protobuf_reader import ProtobufReader
from hearth.model_folder.protobuf_writer import message_field, number_field

VOCABULARY, CHANNELS, BLOCK = 96, 64, 32


def attribute(name: str, value: int) -> bytes:
    return message_field(5, message_field(1, name.encode()) + number_field(3, value) + number_field(20, 2))


def node(op_type: str, inputs: list[str], output: str, *attributes: bytes, domain: str = "") -> bytes:
    names = [message_field(1, name.encode()) for name in inputs] + [message_field(2, output.encode())]
    return message_field(
        1,
        b"".join(
            [*names, message_field(4, op_type.encode()), *attributes, message_field(7, domain.encode())]
        ),
    )


def external(name: str, dims: list[int], data_type: int, offset: int, length: int) -> bytes:
    entries = {"location": "weights.data", "offset": str(offset), "length": str(length)}
    return message_field(
        5,
        b"".join(
            [
                *(number_field(1, dim) for dim in dims),
                number_field(2, data_type),
                message_field(8, name.encode()),
                *(
                    message_field(13, message_field(1, key.encode()) + message_field(2, value.encode()))
                    for key, value in entries.items()
                ),
                number_field(14, 1),
            ]
        ),
    )


def value(number: int, name: str, data_type: int, dims: list[int | str]) -> bytes:
    shape = b"".join(
        message_field(1, number_field(1, dim) if isinstance(dim, int) else message_field(2, dim.encode()))
        for dim in dims
    )
    tensor = message_field(1, number_field(1, data_type) + message_field(2, shape))
    return message_field(number, message_field(1, name.encode()) + message_field(2, tensor))


def shape_constant(output: str, dims: list[int]) -> bytes:
    raw = b"".join(dim.to_bytes(8, "little", signed=True) for dim in dims)
    tensor = number_field(1, len(dims)) + number_field(2, 7) + message_field(9, raw)
    made = message_field(5, message_field(1, b"value") + message_field(5, tensor) + number_field(20, 4))
    return node("Constant", [], output, made)


def shared_model(folder: Path, shape: list[int]) -> bytes:
    """An int4 embedding and head over one tensor, as onnxruntime-genai's builder makes them."""
    rng = np.random.default_rng(0)
    blocks = CHANNELS // BLOCK
    codes = rng.integers(256, size=VOCABULARY * CHANNELS // 2, dtype=np.uint8)
    scales = rng.uniform(0.01, 0.02, VOCABULARY * blocks).astype(np.float32)
    (folder / "weights.data").write_bytes(codes.tobytes() + scales.tobytes())
    quantized = [attribute("bits", 4), attribute("block_size", BLOCK)]
    sizes = [attribute("K", CHANNELS), attribute("N", VOCABULARY), attribute("accuracy_level", 1)]
    graph = b"".join(
        [
            shape_constant("shape", shape),
            node("Reshape", ["weight", "shape"], "table"),
            node(
                "GatherBlockQuantized",
                ["table", "ids", "scales"],
                "embedded",
                *quantized,
                attribute("gather_axis", 0),
                attribute("quantize_axis", 1),
                domain="com.microsoft",
            ),
            node(
                "MatMulNBits",
                ["embedded", "weight", "scales"],
                "logits",
                *quantized,
                *sizes,
                domain="com.microsoft",
            ),
            message_field(2, b"shared"),
            external("weight", [VOCABULARY, blocks, BLOCK // 2], 2, 0, codes.nbytes),
            external("scales", [VOCABULARY, blocks], 1, codes.nbytes, scales.nbytes),
            value(11, "ids", 7, [1, "tokens"]),
            value(12, "logits", 1, [1, "tokens", VOCABULARY]),
        ]
    )
    opsets = message_field(8, message_field(1, b"") + number_field(2, 21))
    opsets += message_field(8, message_field(1, b"com.microsoft") + number_field(2, 1))
    return number_field(1, 10) + message_field(7, graph) + opsets


def logits(model: bytes, folder: Path) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    result: np.ndarray = session.run(None, {"ids": np.arange(VOCABULARY)[None]})[0]
    return result


def operators(model: bytes) -> list[str]:
    reader = ProtobufReader(model)
    (graph,) = (item for item in reader.fields() if item.number == 7)
    nodes = [item for item in reader.fields(graph.start, graph.end) if item.number == 1]
    return [reader.text(f) for n in nodes for f in reader.fields(n.start, n.end) if f.number == 4]


def names(model: bytes) -> list[str]:
    reader = ProtobufReader(model)
    (graph,) = (item for item in reader.fields() if item.number == 7)
    nodes = [item for item in reader.fields(graph.start, graph.end) if item.number == 1]
    return [reader.text(f) for n in nodes for f in reader.fields(n.start, n.end) if f.number == 3]


def test_a_reshaped_weight_becomes_a_second_tensor_and_nothing_else_changes(tmp_path: Path) -> None:
    model = shared_model(tmp_path, [VOCABULARY, CHANNELS // 2])
    rewritten = with_lean_loading(model)
    assert "Reshape" in operators(model)
    assert "Reshape" not in operators(rewritten)
    np.testing.assert_array_equal(logits(rewritten, tmp_path), logits(model, tmp_path))


@pytest.mark.parametrize("shape", [[VOCABULARY, -1], [VOCABULARY, CHANNELS], []])
def test_a_shape_that_is_not_plainly_the_same_size_is_left_to_onnxruntime(
    tmp_path: Path, shape: list[int]
) -> None:
    assert "Reshape" in operators(with_lean_loading(shared_model(tmp_path, shape)))


def test_the_operator_with_the_largest_weight_comes_first(shared_data: Path) -> None:
    folder = shared_data / "models" / "stories260k-onnx" / "int8"
    model = (folder / "model.onnx").read_bytes()
    rewritten = with_lean_loading(model)
    assert sorted(operators(rewritten)) == sorted(operators(model))
    assert names(rewritten)[0] == "/lm_head/MatMul_Q8"


def test_a_graph_without_weights_in_a_file_is_left_as_it_is() -> None:
    graph = node("Identity", ["x"], "y") + value(11, "x", 1, [1]) + value(12, "y", 1, [1])
    model = number_field(1, 10) + message_field(7, graph)
    assert with_lean_loading(model) == model
