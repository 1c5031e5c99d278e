"""Whether a checkpoint's tensors have the shapes that its configuration says: told before hours of work."""

from __future__ import annotations

from collections.abc import Iterable

from hearth.errors import ModelFileInvalid
from hearth.i18n import tr
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Attention, Decoder, Mlp, Norm, Rows


def check_shapes(decoder: Decoder, checkpoint: Checkpoint) -> None:
    """Raise ModelFileInvalid for the first tensor that is missing or has another shape than it should have."""
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
            shapes.norm(norm, {hidden})
        if isinstance(layer.attention, Attention):
            _attention(shapes, layer.attention, hidden)
        if isinstance(layer.mlp, Mlp):
            _mlp(shapes, layer.mlp, hidden)
    shapes.norm(decoder.final_norm, {hidden})
    if decoder.head.weight is not None:
        shapes.matrix(decoder.head.weight, decoder.vocab_size, hidden)


def _attention(shapes: _Shapes, part: Attention, hidden: int) -> None:
    queries, keys = part.heads * part.head_dim, part.kv_heads * part.head_dim
    shapes.matrix(part.query, queries, hidden)
    shapes.matrix(part.key, keys, hidden)
    shapes.matrix(part.value, keys, hidden)
    shapes.matrix(part.output, hidden, queries)
    shapes.norm(part.query_norm, {part.head_dim, queries})
    shapes.norm(part.key_norm, {part.head_dim, keys})


def _mlp(shapes: _Shapes, part: Mlp, hidden: int) -> None:
    width = shapes.rows(part.gate)
    shapes.matrix(part.gate, width, hidden)
    shapes.matrix(part.up, width, hidden)
    shapes.matrix(part.down, hidden, width)


class _Shapes:
    def __init__(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint

    def rows(self, parts: Iterable[Rows]) -> int:
        return sum(self._height(part) for part in parts)

    def matrix(self, parts: tuple[Rows, ...], rows: int, columns: int) -> None:
        for part in parts:
            shape = self._checkpoint.tensor(part.tensor).shape
            stop = shape[0] if part.stop is None and shape else part.stop or 0
            self._check(
                part.tensor, len(shape) == 2 and shape[1] == columns and part.start <= stop <= shape[0]
            )
            if part.bias is not None:
                self._check(part.bias, self._checkpoint.tensor(part.bias).shape == shape[:1])
        self._check(parts[0].tensor, self.rows(parts) == rows)

    def norm(self, norm: Norm | None, lengths: set[int]) -> None:
        if norm is not None:
            name = norm.weight.tensor
            shape = self._checkpoint.tensor(name).shape
            self._check(name, len(shape) == 1 and shape[0] in lengths)

    def _height(self, part: Rows) -> int:
        return (self._checkpoint.tensor(part.tensor).rows if part.stop is None else part.stop) - part.start

    def _check(self, tensor: str, fits: bool) -> None:
        if not fits:
            reason = tr("its tensor “{name}” has an unexpected shape", name=tensor[:100])
            raise ModelFileInvalid(file=str(self._checkpoint.folder), reason=reason)
