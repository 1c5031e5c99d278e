"""A model's graph and weights written in their packed form, one matrix at a time.

onnxruntime can write reordered weights beside the raw ones (`session.save_external_prepacked_constant_initializers`),
but only of a session that holds all of them. Here each product has a session of its own, so the memory that it takes
is that of the largest matrix, and a model can be packed on a machine that could not load it otherwise. What onnxruntime
notes about a reordered matrix, a key and places in the file, is taken over with the places moved; it is told of in
https://onnxruntime.ai/docs and in its source, `core/framework/tensor_external_data_info.cc`.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import onnx

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime loads

import onnxruntime as ort

from hearth.engine.ort_session import first_line, save_beside, session_options, write_optimized
from hearth.engine.packed_weights import DATA_FILE, GRAPH_FILE, NotTheSame
from hearth.engine.providers.registry import CPU
from hearth.errors import ModelLoadFailed
from hearth.model_folder.folder import ModelFolder

# Operators whose weights the kernels of the processor reorder.
_PACKED = frozenset({"MatMulNBits", "MatMul"})
_PIECE_GRAPH = "piece.onnx"
_PIECE_DATA = "piece.data"
_MOVED_BYTES = 4 << 20
_PROBE_ROWS = 3


@dataclass(frozen=True, slots=True)
class _Product:
    """A product with one constant matrix, and all else that its operator needs.

    Attributes:
        node: the operator; its first input alone is not constant.
        tensors: its constants, in the order of its inputs.
        channels: length of the vectors that it takes.
    """

    node: onnx.NodeProto
    tensors: list[onnx.TensorProto]
    channels: int

    def model(self, whole: onnx.ModelProto) -> bytes:
        """It alone, as a model."""
        # The activations have the type of the scales, and of a matrix of floats.
        dtype = self.tensors[min(1, len(self.tensors) - 1)].data_type
        graph = onnx.helper.make_graph(
            [self.node],
            "product",
            [onnx.helper.make_tensor_value_info(self.node.input[0], dtype, None)],
            [onnx.helper.make_tensor_value_info(self.node.output[0], dtype, None)],
            self.tensors,
        )
        piece = onnx.helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version)
        serialized: bytes = piece.SerializeToString()
        return serialized

    def digest(self, session: ort.InferenceSession) -> bytes:
        """Of what comes of some vectors, alone and together: each may have a kernel of its own."""
        dtype = np.float16 if session.get_inputs()[0].type == "tensor(float16)" else np.float32
        rows = np.random.default_rng(0).standard_normal((_PROBE_ROWS, self.channels)).astype(dtype)
        digest = hashlib.sha256()
        for vectors in (rows[:1], rows):
            (result,) = session.run(None, {self.node.input[0]: vectors})
            digest.update(result.tobytes())
        return digest.digest()


def write_packed(folder: ModelFolder, name: str, target: Path, threads: int) -> None:
    """Write the model's graph, optimized, and its weights, raw and packed, to the folder `target`.

    Raises:
        ModelLoadFailed: onnxruntime refuses the graph or its weights, or cannot write.
        NotTheSame: a product has another result with its packed matrix.
        OSError: the files cannot be written.
    """
    write_optimized(folder, name, target / GRAPH_FILE, DATA_FILE, threads)
    model = onnx.load(target / GRAPH_FILE, load_external_data=False)
    products = list(_products(model))
    with (target / DATA_FILE).open("r+b") as data:
        data.seek(0, os.SEEK_END)
        digests = [_pack(product, model, target, data, threads, name) for product in products]
    onnx.save(model, target / GRAPH_FILE)
    for product, digest in zip(products, digests, strict=True):
        if product.digest(_open(product.model(model), target, session_options(threads), name)) != digest:
            raise NotTheSame


def largest_matrix_bytes(folder: ModelFolder) -> int:
    """Of all constants of the model that lie in a file."""
    graph = onnx.load(folder.graph_file, load_external_data=False).graph
    return max((_stored_bytes(tensor) for tensor in graph.initializer), default=0)


def _products(model: onnx.ModelProto) -> Iterator[_Product]:
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        constants = [tensors[name] for name in node.input[1:] if name in tensors]
        if node.op_type not in _PACKED or len(constants) != sum(map(bool, node.input[1:])):
            continue
        matrix = constants[0]
        if node.input[0] in tensors or not _stored_bytes(matrix):
            continue
        wide = [attribute.i for attribute in node.attribute if attribute.name == "K"]
        yield _Product(node, constants, wide[0] if wide else matrix.dims[0])


def _pack(
    product: _Product, whole: onnx.ModelProto, target: Path, data: IO[bytes], threads: int, name: str
) -> bytes:
    """Append the packed matrix to the file of weights and note its place; what the product's digest is without it."""
    part = target / "piece"
    part.mkdir()
    try:
        options = session_options(threads)
        save_beside(options, part / _PIECE_GRAPH, _PIECE_DATA, packs=True)
        digest = product.digest(_open(product.model(whole), target, options, name))
        piece = onnx.load(part / _PIECE_GRAPH, load_external_data=False)
        with (part / _PIECE_DATA).open("rb") as packed:
            for tensor in piece.graph.initializer:
                for entry in tensor.external_data:
                    if entry.key.startswith("prepacked"):
                        (mine,) = (each for each in product.tensors if each.name == tensor.name)
                        mine.external_data.add(key=entry.key, value=_moved(entry.value, packed, data))
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return digest


def _moved(entry: str, source: IO[bytes], target: IO[bytes]) -> str:
    """onnxruntime's note of reordered buffers, `key|offset;length;checksum|...`, once they are appended to `target`."""
    key, *buffers = entry.split("|")
    parts = [key]
    for buffer in buffers:
        offset, length, checksum = buffer.split(";")
        source.seek(int(offset))
        target.seek(-target.tell() % mmap.ALLOCATIONGRANULARITY, os.SEEK_CUR)
        parts.append(f"{target.tell()};{length};{checksum}")
        left = int(length)
        while left:
            piece = source.read(min(left, _MOVED_BYTES))
            if not piece:
                raise OSError("a packed matrix is cut off")
            left -= target.write(piece)
    return "|".join(parts)


def _stored_bytes(tensor: onnx.TensorProto) -> int:
    """What a constant takes in a file of its own; 0 for one that lies in the graph."""
    return sum(int(entry.value) for entry in tensor.external_data if entry.key == "length")


def _open(model: bytes, folder: Path, options: ort.SessionOptions, name: str) -> ort.InferenceSession:
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    try:
        return CPU.open(model, options)
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise ModelLoadFailed(name=name, reason=first_line(error)) from error
