"""Whether a checkpoint's tensors have the shapes and types that its configuration says: told before hours of work."""

from __future__ import annotations

from collections.abc import Iterable

from hearth.errors import ModelFileInvalid
from hearth.i18n import tr
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.packed_tensor import PackedTensor
from hearth.quantize.checkpoint.stored_tensor import FLOATS
from hearth.quantize.decoder import Attention, Decoder, Experts, Mlp, Norm, Rows


def check_shapes(decoder: Decoder, checkpoint: Checkpoint) -> None:
    """Raise ModelFileInvalid for the first tensor that is missing or has another shape or type than it should have."""
    shapes = _Shapes(checkpoint)
    hidden = decoder.hidden_size
    shapes.matrix((Rows(decoder.embedding),), decoder.vocab_size, hidden)
    for layer in decoder.layers:
        for norm in (
            layer.attention_norm,
            layer.post_attention_norm,
            layer.mlp_norm,
            layer.post_mlp_norm,
        ):
            shapes.norm(norm, hidden)
        _attention(shapes, layer.attention, hidden)
        if isinstance(layer.mlp, Mlp):
            _mlp(shapes, layer.mlp, hidden)
        else:
            _experts(shapes, layer.mlp, hidden)
    shapes.norm(decoder.final_norm, hidden)
    if decoder.head.weight is not None:
        shapes.matrix(decoder.head.weight, decoder.vocab_size, hidden)


def _attention(shapes: _Shapes, part: Attention, hidden: int) -> None:
    queries, keys = part.heads * part.head_dim, part.kv_heads * part.head_dim
    shapes.matrix(part.query, queries, hidden)
    shapes.matrix(part.key, keys, hidden)
    shapes.matrix(part.value, keys, hidden)
    shapes.matrix(part.output, hidden, queries)
    shapes.norm(part.query_norm, queries if part.norm_is_whole else part.head_dim)
    shapes.norm(part.key_norm, keys if part.norm_is_whole else part.head_dim)


def _mlp(shapes: _Shapes, part: Mlp, hidden: int) -> None:
    width = shapes.rows(part.gate)
    shapes.matrix(part.gate, width, hidden)
    shapes.matrix(part.up, width, hidden)
    shapes.matrix(part.down, hidden, width)


def _experts(shapes: _Shapes, part: Experts, hidden: int) -> None:
    """All of them are as wide as the first: the operators take them in one tensor."""
    shapes.matrix(part.router, part.count, hidden)
    width = shapes.rows(part.gate[:1])
    for gate, up, down in zip(part.gate, part.up, part.down, strict=True):
        shapes.matrix((gate,), width, hidden)
        shapes.matrix((up,), width, hidden)
        shapes.matrix((down,), hidden, width)


class _Shapes:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def rows(self, parts: Iterable[Rows]) -> int:
        return sum(self._height(part) for part in parts)

    def matrix(self, parts: tuple[Rows, ...], rows: int, columns: int) -> None:
        for part in parts:
            self._check_type(part.tensor)
            shape = self._checkpoint.tensor(part.tensor).shape
            stop = shape[0] if part.stop is None and shape else part.stop or 0
            self._check(
                part.tensor, len(shape) == 2 and shape[1] == columns and part.start <= stop <= shape[0]
            )
            if part.bias is not None:
                self._check_type(part.bias)
                self._check(part.bias, self._checkpoint.tensor(part.bias).shape == shape[:1])
        self._check(parts[0].tensor, self.rows(parts) == rows)

    def norm(self, norm: Norm | None, length: int) -> None:
        if norm is not None:
            name = norm.weight.tensor
            self._check_type(name)
            self._check(name, self._checkpoint.tensor(name).shape == (length,))

    def _height(self, part: Rows) -> int:
        return (self._checkpoint.tensor(part.tensor).rows if part.stop is None else part.stop) - part.start

    def _check_type(self, name: str) -> None:
        """Integers are none but where the format of the checkpoint packs a matrix of them."""
        tensor = self._checkpoint.tensor(name)
        if not isinstance(tensor, PackedTensor) and tensor.dtype not in FLOATS:
            reason = tr("its tensor “{name}” has the type {type}", name=name[:100], type=tensor.dtype)
            raise ModelFileInvalid(file=str(tensor.file), reason=reason)

    def _check(self, tensor: str, fits: bool) -> None:
        if not fits:
            reason = tr("its tensor “{name}” has an unexpected shape", name=tensor[:100])
            raise ModelFileInvalid(file=str(self._checkpoint.folder), reason=reason)
