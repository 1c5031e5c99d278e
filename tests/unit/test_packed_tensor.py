"""Int4 checkpoints of AWQ and GPTQ: their numbers come out as they are, without a second rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from checkpoints import write_config, write_safetensors
from hearth.errors import CheckpointUnsupported, ModelFileInvalid
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.packed_tensor import PackedTensor
from hearth.quantize.decoder import Rows
from hearth.quantize.graph.graph import Graph
from hearth.quantize.graph.linear import Writer, matrix_weight
from hearth.quantize.recipe import Recipe
from hearth.quantize.repacked_weight import RepackedWeight

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # AutoAWQ: which column each nibble holds
IN, OUT, GROUP = 128, 24, 32


def as_int32(words: np.ndarray) -> np.ndarray:
    return words.astype(np.uint32).view(np.int32)


def pack_columns(codes: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """[rows, columns] as int32 [rows, columns / 8], as the two libraries do it: a loop, and shifts."""
    words = np.zeros((codes.shape[0], codes.shape[1] // 8), np.uint64)
    for column in range(words.shape[1]):
        for place, which in enumerate(order):
            words[:, column] |= codes[:, 8 * column + which].astype(np.uint64) << (4 * place)
    return as_int32(words)


class Matrix:
    """Random codes, zero points and scales, and the numbers that they stand for."""

    def __init__(self, group: int = GROUP, middle: bool = False, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        groups = IN // group
        self.codes = random.integers(0, 16, (IN, OUT), np.uint8)
        self.zeros = random.integers(0, 16, (groups, OUT), np.uint8)
        if middle:
            self.zeros[:] = 8
        self.scales = random.random((groups, OUT)).astype(np.float16)
        zeros, scales = (np.repeat(part, group, axis=0) for part in (self.zeros, self.scales))
        self.numbers = ((self.codes.astype(np.float32) - zeros) * scales.astype(np.float32)).T

    def awq(self) -> dict[str, np.ndarray]:
        return {
            "m.qweight": pack_columns(self.codes, AWQ_ORDER),
            "m.qzeros": pack_columns(self.zeros, AWQ_ORDER),
            "m.scales": self.scales,
        }

    def gptq(self, less: int = 1) -> dict[str, np.ndarray]:
        straight = tuple(range(8))
        return {
            "m.qweight": np.ascontiguousarray(pack_columns(self.codes.T, straight).T),
            "m.qzeros": pack_columns((self.zeros - np.uint8(less)) & 15, straight),
            "m.scales": self.scales,
            "m.g_idx": (np.arange(IN) // (IN // len(self.zeros))).astype(np.int32),
        }


def open_with(folder: Path, tensors: dict[str, np.ndarray], **settings: object) -> Checkpoint:
    write_config(folder, quantization_config={"bits": 4, "group_size": GROUP, **settings})
    write_safetensors(folder / "model.safetensors", tensors)
    return Checkpoint.open(folder)


def weight_of(checkpoint: Checkpoint, *parts: Rows) -> RepackedWeight:
    writer = Writer(Graph(), checkpoint, Recipe(name="x"))
    weight = matrix_weight(writer, "m", writer.matrix(parts or (Rows("m.weight"),)))
    assert isinstance(weight, RepackedWeight)
    return weight


def values(weight: RepackedWeight, made: tuple[np.ndarray, ...]) -> np.ndarray:
    """What `MatMulNBits` makes of its inputs, by its documentation."""
    packed, scales = made[0], made[1]
    codes = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], -1)
    zeros: np.ndarray = np.full(scales.shape, 8, np.uint8)
    if weight.zero_points:
        pairs = np.stack([made[2] & 15, made[2] >> 4], axis=-1).reshape(len(scales), -1)
        zeros = pairs[:, : scales.shape[1]]
    return ((codes.astype(np.float32) - zeros[..., None]) * scales[..., None]).reshape(len(scales), -1)


FORMATS = {
    "awq": (lambda matrix: matrix.awq(), {"quant_method": "awq", "version": "GEMM"}),
    "gptq": (lambda matrix: matrix.gptq(), {"quant_method": "gptq"}),
    "gptq v2": (lambda matrix: matrix.gptq(0), {"quant_method": "gptq", "checkpoint_format": "gptq_v2"}),
}


@pytest.mark.parametrize("which", FORMATS)
@pytest.mark.parametrize("middle", [False, True])
def test_every_number_stays_what_it_is(tmp_path: Path, which: str, middle: bool) -> None:
    write, settings = FORMATS[which]
    matrix = Matrix(middle=middle)
    checkpoint = open_with(tmp_path, write(matrix), **settings)
    tensor = checkpoint.tensor("m.weight")
    assert tensor.shape == (OUT, IN)
    assert np.array_equal(tensor.floats(), matrix.numbers)
    weight = weight_of(checkpoint)
    assert (weight.zero_points is None) == middle
    assert np.array_equal(values(weight, weight.make(0, OUT)), matrix.numbers)


@pytest.mark.parametrize("which", FORMATS)
def test_any_rows_are_those_of_the_whole(tmp_path: Path, which: str) -> None:
    write, settings = FORMATS[which]
    matrix = Matrix()
    tensor = open_with(tmp_path, write(matrix), **settings).tensor("m.weight")
    for start, stop in ((0, 1), (3, 9), (7, 8), (8, 16), (13, OUT)):
        assert np.array_equal(tensor.floats(start, stop), matrix.numbers[start:stop])


def test_matrices_below_each_other_are_one(tmp_path: Path) -> None:
    one, two = Matrix(seed=1), Matrix(seed=2, middle=True)
    second = {name.replace("m.", "n."): part for name, part in two.awq().items()}
    checkpoint = open_with(tmp_path, one.awq() | second, quant_method="awq")
    weight = weight_of(checkpoint, Rows("m.weight"), Rows("n.weight", times=2.0))
    expected = np.concatenate([one.numbers, 2 * two.numbers])
    assert np.array_equal(values(weight, weight.make(0, 2 * OUT)), expected)
    assert np.array_equal(values(weight, weight.make(OUT - 5, OUT + 5)), expected[OUT - 5 : OUT + 5])


def test_one_group_for_a_whole_row_becomes_blocks(tmp_path: Path) -> None:
    matrix = Matrix(group=IN)
    checkpoint = open_with(tmp_path, matrix.gptq(), quant_method="gptq", group_size=-1, desc_act=True)
    weight = weight_of(checkpoint)
    assert weight.scheme.block_size == IN
    assert np.array_equal(values(weight, weight.make(0, OUT)), matrix.numbers)


def test_the_settings_of_older_gptq_lie_in_a_file_of_their_own(tmp_path: Path) -> None:
    matrix = Matrix()
    write_config(tmp_path)
    (tmp_path / "quantize_config.json").write_text('{"bits": 4, "group_size": 32, "desc_act": false}')
    write_safetensors(tmp_path / "model.safetensors", matrix.gptq())
    assert np.array_equal(Checkpoint.open(tmp_path).tensor("m.weight").floats(), matrix.numbers)


def test_an_order_by_weight_is_refused(tmp_path: Path) -> None:
    parts = Matrix().gptq()
    parts["m.g_idx"] = parts["m.g_idx"][::-1].copy()
    with pytest.raises(CheckpointUnsupported, match="desc_act"):
        open_with(tmp_path, parts, quant_method="gptq", desc_act=True)
    del parts["m.g_idx"]
    with pytest.raises(CheckpointUnsupported, match="desc_act"):
        open_with(tmp_path, parts, quant_method="gptq", desc_act=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "awq", "version": "gemv"},
        {"quant_method": "awq", "bits": 3},
        {"quant_method": "gptq", "checkpoint_format": "marlin"},
        {"quant_method": "bitsandbytes"},
        {"quant_method": "awq", "group_size": 8},
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    with pytest.raises(CheckpointUnsupported):
        open_with(tmp_path, Matrix(group=8).awq(), **settings)


def test_a_quantization_with_types_that_are_not_read_is_told_as_one(tmp_path: Path) -> None:
    write_config(tmp_path, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    header = b'{"m.weight": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}'
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointUnsupported, match=r"\(fp8\)"):
        Checkpoint.open(tmp_path)


def test_what_somebody_quantized_for_another_program_is_no_checkpoint(tmp_path: Path) -> None:
    write_config(tmp_path)
    (tmp_path / "model-q4.gguf").touch()
    with pytest.raises(CheckpointUnsupported, match="quantized already"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("part", ["qzeros", "scales"])
def test_a_part_that_is_missing_or_misshapen_is_named(tmp_path: Path, part: str) -> None:
    parts = Matrix().awq()
    parts[f"m.{part}"] = parts[f"m.{part}"][:-1]
    with pytest.raises(ModelFileInvalid, match="unexpected shape"):
        open_with(tmp_path, parts, quant_method="awq")
    del parts[f"m.{part}"]
    with pytest.raises(ModelFileInvalid, match=f"m.{part}"):
        open_with(tmp_path, parts, quant_method="awq")


def test_a_scale_that_is_not_finite_is_named(tmp_path: Path) -> None:
    matrix = Matrix()
    matrix.scales[0, 3] = np.inf
    tensor = open_with(tmp_path, matrix.awq(), quant_method="awq").tensor("m.weight")
    assert isinstance(tensor, PackedTensor)
    with pytest.raises(ModelFileInvalid, match=r"m\.scales"):
        tensor.codes(0, 8)
