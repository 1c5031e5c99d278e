"""What a model's weights take: on the disk, in memory, and of the memory's bandwidth for each token.

Matrices of integers are kept in blocks along their rows. On the disk a block is its integers, a scale of 4 bytes, and
a zero point where it is not symmetric. In memory, as ONNX Runtime's `MatMulNBits` packs them for products with int8
activations, it is its integers, a scale and the block's sum in float32: 0.75 bytes a weight in blocks of 32, 0.56 in
blocks of 128. The embedding is looked up in the file's own pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from hearth.model_folder.graph_summary import ExternalTensor
from hearth.models.shape import ModelShape, bits_of

_SCALE_BYTES = _SUM_BYTES = 4
_FLOAT_BITS = (16, 32)
# A file with so many for each parameter holds floats.
_LEAST_FLOAT_BITS = 15
# Block sums are laid out for so many rows at once.
_ROW_GROUP = 16
_UINT8 = 2
_FLOATS = {1: 4, 10: 2, 16: 2}  # bytes of TensorProto's float, float16 and bfloat16
_HEAD = "lm_head"
_SMALL_SUFFIXES = ("scales", "_zp", "bias", "_cache")


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's matrices are kept.

    Attributes:
        bits: of one weight; 16 and 32 are floats.
        block_size: weights that share a scale.
        symmetric: without a zero point for each block.
        head_bits, embedding_bits: of the head, and of the embedding; 0 is as in the layers, and as the head.
        bits_per_weight: of all matrices in the mean, scales included, where bits are chosen for each; 0 where not.
    """

    bits: int = 4
    block_size: int = 32
    symmetric: bool = True
    head_bits: int = 0
    embedding_bits: int = 0
    bits_per_weight: float = 0.0

    def disk_bytes(self, rows: int, columns: int, bits: int = 0) -> int:
        """Of a matrix in a file."""
        bits = bits or self.bits
        if bits in _FLOAT_BITS:
            return rows * columns * bits // 8
        if self.bits_per_weight:
            return round(rows * columns * self.bits_per_weight / 8)
        blocks = -(-columns // self.block_size)
        zeros = 0 if self.symmetric else -(-blocks * bits // 8)
        return rows * (blocks * (self.block_size * bits // 8 + _SCALE_BYTES) + zeros)

    def loaded_bytes(self, rows: int, columns: int, bits: int = 0) -> int:
        """Of a matrix that is loaded to be multiplied with; floats of 16 bits become such of 32."""
        bits = bits or self.bits
        if bits in _FLOAT_BITS:
            return rows * columns * 4
        blocks = -(-columns // self.block_size)
        sums = _sum_bytes(rows, blocks)
        if self.bits_per_weight:
            zeros = 0 if self.symmetric else rows * blocks * bits // 8
            return self.disk_bytes(rows, columns) - zeros + sums
        return rows * blocks * (self.block_size * bits // 8 + _SCALE_BYTES) + sums


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of all weights, and what a token needs of them.

    Attributes:
        disk: of the files.
        loaded: that loading copies, in another order, into the memory of the process.
        mapped: of the files' own pages that are needed all the time.
        read: that one token of one answer reads.
        floats: of these, what is not unpacked.
        products: weights that each token of a prompt is multiplied with; all but the head.
        head: bytes of the head, which works on the last token of a chunk alone.
    """

    disk: int
    loaded: int
    mapped: int
    read: int
    products: int
    head: int
    floats: int = 0

    @classmethod
    def of_shape(cls, shape: ModelShape, precision: Precision) -> Weights:
        """Of a model that is quantized so."""
        disk = loaded = products = 0
        read = 0.0
        for rows, columns, used in shape.matrices():
            disk += precision.disk_bytes(rows, columns)
            in_memory = precision.loaded_bytes(rows, columns)
            loaded += in_memory
            read += in_memory * used
            products += round(rows * columns * used)
        disk, loaded, read, products = (
            disk * shape.layers,
            loaded * shape.layers,
            read * shape.layers,
            products * shape.layers,
        )
        head_bits = precision.head_bits or precision.bits
        embedding_bits = precision.embedding_bits or head_bits
        table = shape.vocab_size, shape.hidden_size
        head = precision.loaded_bytes(*table, head_bits)
        disk += precision.disk_bytes(*table, head_bits)
        if not shape.tied or embedding_bits != head_bits:
            disk += precision.disk_bytes(*table, embedding_bits)
        floats = round(read) if precision.bits in _FLOAT_BITS else 0
        floats += head if head_bits in _FLOAT_BITS else 0
        # Cosines and sines of all positions.
        disk += shape.context * shape.head_size * 4
        return cls(
            disk=disk,
            loaded=loaded + head,
            mapped=0,
            read=round(read) + head,
            products=products,
            head=head,
            floats=floats,
        )

    @classmethod
    def of_graph(cls, shape: ModelShape, tensors: Iterable[ExternalTensor], disk: int) -> Weights:
        """Of a model folder in onnxruntime-genai's format; `disk` is the size of its files."""
        loaded = products = head = 0
        read = floats = 0.0
        used = shape.experts_used / shape.experts if shape.experts else 1.0
        for tensor in tensors:
            share = used if ".experts." in tensor.name else 1.0
            in_memory, weights = _loaded(tensor)
            loaded += in_memory
            read += in_memory * share
            floats += in_memory * share if tensor.data_type in _FLOATS else 0
            if tensor.name.startswith(_HEAD):
                head += in_memory
            else:
                products += round(weights * share)
        return cls(
            disk=disk,
            loaded=loaded,
            mapped=0,
            read=round(read),
            products=products,
            head=head,
            floats=round(floats),
        )

    @classmethod
    def of_gguf(cls, shape: ModelShape, file_bytes: int) -> Weights:
        """Of a GGUF file.

        llama.cpp maps it, and on a processor copies most matrices of four bits in another order: measured with Q4_0, all
        bytes of the file were in the memory of the process once more. What it does not copy stays in the file's pages,
        and is as much. So the file counts once, as memory that cannot be dropped.
        """
        table = shape.vocab_size * shape.hidden_size
        used = shape.layers * sum(rows * columns * share for rows, columns, share in shape.matrices())
        share = min(1.0, (used + table) / max(shape.parameters, 1))
        read = round(file_bytes * share)
        is_floats = 8 * file_bytes >= _LEAST_FLOAT_BITS * shape.parameters
        return cls(
            disk=file_bytes,
            loaded=file_bytes,
            mapped=0,
            read=read,
            products=round(used),
            head=round(read * table / (used + table)),
            floats=read if is_floats else 0,
        )


def checkpoint_bytes(shape: ModelShape) -> int:
    """Of a checkpoint as most are published: 16 bits a weight."""
    return 2 * shape.parameters


def _loaded(tensor: ExternalTensor) -> tuple[int, int]:
    """What a tensor of a graph takes once it is loaded, and how many weights it multiplies with; 0 for a table."""
    dims = tensor.dims
    if tensor.data_type == _UINT8 and len(dims) == 3:
        rows, blocks, block_bytes = dims
        weights = rows * blocks * block_bytes * 8 // bits_of(tensor)
        if ".experts." in tensor.name:  # [experts, rows, bytes], as it lies
            return rows * blocks * block_bytes, weights
        return rows * blocks * (block_bytes + _SCALE_BYTES) + _sum_bytes(rows, blocks), weights
    is_matrix = len(dims) == 2 and tensor.data_type in _FLOATS and not tensor.name.endswith(_SMALL_SUFFIXES)
    if is_matrix and "embed_tokens" not in tensor.name:
        return dims[0] * dims[1] * 4, dims[0] * dims[1]
    return 0, 0


def _sum_bytes(rows: int, blocks: int) -> int:
    return -(-rows // _ROW_GROUP) * _ROW_GROUP * blocks * _SUM_BYTES
