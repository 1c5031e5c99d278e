"""Checkpoints whose matrices are int4 already, in the formats of AWQ and GPTQ: their matrices as packed tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hearth.errors import CheckpointUnsupported, ModelFileInvalid
from hearth.i18n import tr
from hearth.model_folder.hub_cache import readable_name
from hearth.quantize.checkpoint.packed_tensor import BITS, PER_WORD, PackedTensor
from hearth.quantize.checkpoint.stored_tensor import StoredTensor

SETTINGS = "quantization_config"
_PARTS = ("qweight", "qzeros", "scales", "g_idx")
_METHODS = ("awq", "gptq")
_LARGEST_BLOCK, _SMALLEST_BLOCK = 128, 16


class Packing(msgspec.Struct):
    """`quantization_config` of config.json, or GPTQ's `quantize_config.json`, as far as it says where codes lie.

    Attributes:
        version: of AWQ's packing.
        checkpoint_format: of GPTQ's.
    """

    quant_method: str = "gptq"
    bits: int = 4
    group_size: int = 128
    version: str = "gemm"
    checkpoint_format: str = "gptq"
    desc_act: bool = False


def read_packing(folder: Path, settings: Mapping[str, Any] | None) -> Packing | None:
    """What the checkpoint says of its quantization; None where it says nothing.

    Raises:
        CheckpointUnsupported: it is quantized in a way that cannot be kept exactly.
        ModelFileInvalid: it makes no sense.
    """
    if settings is None:
        return None
    try:
        known = msgspec.convert(settings, Packing, strict=False)
    except msgspec.ValidationError as error:
        reason = tr("it does not fit the format ({detail})", detail=error)
        raise ModelFileInvalid(file=str(folder), reason=reason) from error
    _check(folder, known)
    return known


def unpacked_names(
    folder: Path, packing: Packing | None, tensors: Mapping[str, StoredTensor]
) -> dict[str, StoredTensor | PackedTensor]:
    """The tensors by name, those of each packed matrix as one: the weight that it was made of.

    Raises:
        CheckpointUnsupported: a matrix is quantized in a way that cannot be kept exactly.
        ModelFileInvalid: a part of a matrix is missing, or has an unexpected shape.
    """
    if packing is None:
        return dict(tensors)
    modules = [name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight")]
    parts = {f"{module}.{part}" for module in modules for part in _PARTS}
    plain: dict[str, StoredTensor | PackedTensor] = {
        name: tensor for name, tensor in tensors.items() if name not in parts
    }
    return plain | {f"{module}.weight": _packed(folder, module, packing, tensors) for module in modules}


def _check(folder: Path, settings: Packing) -> None:
    method = settings.quant_method.lower()
    kind = settings.version.lower() if method == "awq" else settings.checkpoint_format.lower()
    if (method, kind) not in {("awq", "gemm"), ("gptq", "gptq"), ("gptq", "gptq_v2")}:
        reason = tr(
            "it is quantized already, in a way that Hearth does not know ({kind})",
            kind=(f"{method}, {kind}" if method in _METHODS else method)[:60],
        )
        raise CheckpointUnsupported(name=readable_name(folder), reason=reason)
    if settings.bits != BITS:
        reason = tr("it is quantized already, to {bits} bits; of such only 4 are read", bits=settings.bits)
        raise CheckpointUnsupported(name=readable_name(folder), reason=reason)


def _packed(
    folder: Path, module: str, settings: Packing, tensors: Mapping[str, StoredTensor]
) -> PackedTensor:
    is_awq = settings.quant_method.lower() == "awq"
    words, zeros, scales = (_part(folder, f"{module}.{part}", tensors) for part in _PARTS[:3])
    columns = words.shape[0] * (1 if is_awq else PER_WORD)
    rows = words.shape[1] * (PER_WORD if is_awq else 1)
    group = settings.group_size if settings.group_size > 0 else columns
    groups = columns // group
    fits = (
        columns > 0
        and rows > 0
        and rows % PER_WORD == 0
        and groups * group == columns
        and scales.shape == (groups, rows)
        and zeros.shape == (groups, rows // PER_WORD)
        and words.dtype == zeros.dtype == "I32"
    )
    if not fits:
        raise _misshapen(words)
    block = min(_LARGEST_BLOCK, group & -group)
    if block < _SMALLEST_BLOCK:
        reason = tr("it is quantized already, in groups of {size} numbers", size=group)
        raise CheckpointUnsupported(name=readable_name(folder), reason=reason)
    order = tensors.get(f"{module}.g_idx")
    if not is_awq and groups > 1 and (order is not None or settings.desc_act):
        _check_order(folder, order, columns, group)
    plus = 1 if settings.checkpoint_format.lower() == "gptq" and not is_awq else 0
    return PackedTensor(f"{module}.weight", words, zeros, scales, is_awq, plus, block)


def _part(folder: Path, name: str, tensors: Mapping[str, StoredTensor]) -> StoredTensor:
    tensor = tensors.get(name)
    if tensor is None:
        reason = tr("it has no tensor “{name}”", name=name[:100])
        raise ModelFileInvalid(file=str(folder), reason=reason)
    if len(tensor.shape) != 2:
        raise _misshapen(tensor)
    return tensor


def _misshapen(tensor: StoredTensor) -> ModelFileInvalid:
    reason = tr("its tensor “{name}” has an unexpected shape", name=tensor.name[:100])
    return ModelFileInvalid(file=str(tensor.file), reason=reason)


def _check_order(folder: Path, order: StoredTensor | None, columns: int, group: int) -> None:
    """Each group must be neighbours: `MatMulNBits` knows no other."""
    expected = np.arange(columns) // group
    if order is not None and order.shape == (columns,) and np.array_equal(order.read()[0], expected):
        return
    reason = tr("its numbers are quantized in the order of their weight (desc_act), which no graph can keep")
    raise CheckpointUnsupported(name=readable_name(folder), reason=reason)
