"""Qwen3-MoE (arXiv:2505.09388): Qwen3 with many small feed-forward networks in a layer, of which a token uses a few."""

from __future__ import annotations

from dataclasses import replace

from hearth.quantize.architectures.llama import activation, decoder, layer, layer_count, rows
from hearth.quantize.architectures.qwen2 import WINDOW_DEFAULTS
from hearth.quantize.architectures.qwen3 import query_key_norms
from hearth.quantize.architectures.windows import window
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder, Experts, Layer, Rows


def qwen3_moe(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Qwen3-MoE checkpoint."""
    checkpoint = checkpoint.with_defaults(WINDOW_DEFAULTS)
    layers = [_layer(checkpoint, number) for number in range(layer_count(checkpoint))]
    return decoder(checkpoint, "qwen3", layers)


def _layer(checkpoint: Checkpoint, number: int) -> Layer:
    size = window(checkpoint, number) if checkpoint.config.get("use_sliding_window") else 0
    plain = layer(checkpoint, number, window=size, **query_key_norms(checkpoint, number))
    is_sparse = (number + 1) % checkpoint.count("decoder_sparse_step", 1) == 0
    if number in checkpoint.array("mlp_only_layers") or not is_sparse:
        return plain
    return replace(plain, mlp=_experts(checkpoint, f"model.layers.{number}.mlp."))


def _experts(checkpoint: Checkpoint, prefix: str) -> Experts:
    name = "num_experts" if checkpoint.config.get("num_experts") is not None else "num_local_experts"
    count = checkpoint.count(name, 128)
    used = checkpoint.count("num_experts_per_tok", 8, most=count)
    for expert in range(count):  # that each is there is told before all of them are described
        checkpoint.tensor(f"{prefix}experts.{expert}.gate_proj.weight")

    def all_of(part: str) -> tuple[Rows, ...]:
        return tuple(rows(checkpoint, f"{prefix}experts.{expert}.{part}_proj") for expert in range(count))

    return Experts(
        router=(rows(checkpoint, f"{prefix}gate"),),
        gate=all_of("gate"),
        up=all_of("up"),
        down=all_of("down"),
        count=count,
        used=used,
        is_normalized=bool(checkpoint.config.get("norm_topk_prob", False)),
        activation=activation(checkpoint),
    )
