"""What rounding packs is what ONNX Runtime's own kernels unpack, for everything that a recipe may ask for."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hearth.quantize.rounding.blocks import RoundedRows
from hearth.quantize.rounding.scheme import BLOCK_SIZES, INTEGER_BITS, Scheme

SCHEMES = st.builds(Scheme, st.sampled_from(INTEGER_BITS), st.sampled_from(BLOCK_SIZES), st.booleans())


def random_rounded(scheme: Scheme, rows: int, columns: int, seed: int) -> RoundedRows:
    random = np.random.default_rng(seed)
    shape = (rows, -(-columns // scheme.block_size))
    codes = random.integers(0, 1 << scheme.bits, (*shape, scheme.block_size), np.uint8)
    zeros = None if scheme.is_symmetric else random.integers(0, 1 << scheme.bits, shape, np.uint8)
    return RoundedRows(scheme.bits, codes, random.uniform(-1, 1, shape).astype(np.float32), zeros)


def run(
    operator: str,
    rounded: RoundedRows,
    source: np.ndarray,
    *,
    inputs: str,
    data_shape: tuple[int, ...],
    **attributes: int,
) -> np.ndarray:
    """One operator on packed rows; `inputs` is the order of x (source) and d, s, z (data, scales, zero points)."""
    zeros = rounded.packed_zero_points()
    known = {"d": rounded.packed().reshape(data_shape), "s": rounded.scales}
    known |= {} if zeros is None else {"z": zeros}
    given = ["x" if name == "x" else name for name in inputs if name == "x" or name in known]
    kind = TensorProto.INT64 if source.dtype == np.int64 else TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(operator, given, ["y"], domain="com.microsoft", bits=rounded.bits, **attributes)],
        "one",
        [helper.make_tensor_value_info("x", kind, list(source.shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in known.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    found: np.ndarray = ort.InferenceSession(model.SerializeToString(), options).run(None, {"x": source})[0]
    return found


@given(
    scheme=SCHEMES,
    rows=st.integers(1, 40),
    columns=st.integers(1, 300),
    tokens=st.integers(1, 5),
    accuracy_level=st.sampled_from([1, 4]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60)
def test_the_product_is_that_of_the_numbers_that_the_integers_stand_for(
    scheme: Scheme, rows: int, columns: int, tokens: int, accuracy_level: int, seed: int
) -> None:
    rounded = random_rounded(scheme, rows, columns, seed)
    source = np.random.default_rng(seed).standard_normal((tokens, columns)).astype(np.float32)
    found = run(
        "MatMulNBits",
        rounded,
        source,
        inputs="xdsz",
        data_shape=rounded.packed().shape,
        K=columns,
        N=rows,
        block_size=scheme.block_size,
        accuracy_level=accuracy_level,
    )
    values = rounded.values()[:, :columns]
    sizes = np.linalg.norm(source, axis=1, keepdims=True) * np.linalg.norm(values, axis=1)
    # Activations rounded to int8 are wrong by half of a 127th of the largest in their block.
    allowed = 2e-2 if accuracy_level == 4 else 1e-5
    assert np.all(np.abs(found - source @ values.T) <= allowed * sizes + 1e-5)


@given(scheme=SCHEMES, rows=st.integers(1, 20), columns=st.integers(1, 300), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_rows_are_looked_up_as_what_the_integers_stand_for(
    scheme: Scheme, rows: int, columns: int, seed: int
) -> None:
    rounded = random_rounded(scheme, rows, columns, seed)
    ids = np.random.default_rng(seed).integers(0, rows, 3)
    found = run(
        "GatherBlockQuantized",
        rounded,
        ids,
        inputs="dxsz",
        data_shape=(rows, -1),
        block_size=scheme.block_size,
        gather_axis=0,
        quantize_axis=1,
    )
    np.testing.assert_allclose(found, rounded.values()[ids], rtol=1e-6)


@pytest.mark.parametrize("bits", [3, 5, 6])
def test_other_bits_are_still_refused_by_the_kernel(bits: int) -> None:
    """When this fails, ONNX Runtime has learnt more bits, and `INTEGER_BITS` may grow."""
    codes = RoundedRows(8, np.zeros((1, 1, 32), np.uint8), np.ones((1, 1), np.float32))
    graph = helper.make_graph(
        [
            helper.make_node(
                "MatMulNBits",
                ["x", "d", "s"],
                ["y"],
                domain="com.microsoft",
                bits=bits,
                block_size=32,
                K=32,
                N=1,
            )
        ],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(np.zeros((1, 1, 4 * bits), np.uint8), "d"),
            numpy_helper.from_array(codes.scales, "s"),
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, ir_version=10, opset_imports=opsets)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    with pytest.raises(ort.capi.onnxruntime_pybind11_state.Fail, match="nbits"):
        ort.InferenceSession(model.SerializeToString(), options)
