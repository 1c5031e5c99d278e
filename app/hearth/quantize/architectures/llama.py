"""Llama 2, 3 and 3.x (arXiv:2307.09288, arXiv:2407.21783), SmolLM2, and the shape that most others vary."""

from __future__ import annotations

from typing import Any

from hearth.errors import ArchitectureUnsupported
from hearth.i18n import tr
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Activation, Attention, Decoder, Head, Layer, Mlp, Norm, Rope, Rows, Vector
from hearth.quantize.rotary import rope

_ACTIVATIONS = {
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "gelu_new": Activation.GELU_TANH,
}
_ORIGINAL_LENGTH = "original_max_position_embeddings"
# Far more than any model has.
_MOST_LAYERS, _MOST_HEADS, _MOST_CHANNELS = 1 << 10, 1 << 12, 1 << 12


def llama(checkpoint: Checkpoint) -> Decoder:
    """The decoder of a Llama checkpoint."""
    layers = [layer(checkpoint, number) for number in range(layer_count(checkpoint))]
    return decoder(checkpoint, "llama", layers)


def decoder(checkpoint: Checkpoint, kind: str, layers: list[Layer], **parts: Any) -> Decoder:
    """A decoder around these layers, with the tensors' usual names; `parts` replace what differs."""
    settings: dict[str, Any] = {"final_norm": norm(checkpoint, "model.norm"), "head": head(checkpoint)}
    return Decoder(
        kind=kind,
        vocab_size=checkpoint.tensor("model.embed_tokens.weight").rows,
        hidden_size=checkpoint.count("hidden_size"),
        context_length=checkpoint.count("max_position_embeddings"),
        embedding="model.embed_tokens.weight",
        layers=tuple(layers),
        **(settings | parts),
    )


def head(checkpoint: Checkpoint, softcap: float = 0.0) -> Head:
    """The head; the embedding's matrix where the configuration ties them, or there is no other."""
    is_tied = checkpoint.config.get("tie_word_embeddings", False)
    if is_tied or "lm_head.weight" not in checkpoint.tensors:
        return Head(None, softcap)
    return Head((rows(checkpoint, "lm_head"),), softcap)


def layer(checkpoint: Checkpoint, number: int, output_times: float = 1.0, **parts: Any) -> Layer:
    """A layer with a norm before attention and one before the feed-forward network.

    Args:
        output_times: a factor on what attention and the network add.
        parts: of the attention, where they differ.
    """
    prefix = f"model.layers.{number}."
    return Layer(
        attention=attention(checkpoint, prefix, output_times, **parts),
        mlp=mlp(checkpoint, prefix, output_times),
        attention_norm=norm(checkpoint, f"{prefix}input_layernorm"),
        mlp_norm=norm(checkpoint, f"{prefix}post_attention_layernorm"),
    )


def attention(checkpoint: Checkpoint, prefix: str, output_times: float = 1.0, **parts: Any) -> Attention:
    """Attention with a matrix for each projection; `parts` replace what differs."""
    heads, dim = head_count(checkpoint), head_dim(checkpoint)
    settings: dict[str, Any] = {
        "heads": heads,
        "kv_heads": kv_head_count(checkpoint),
        "head_dim": dim,
        "scale": dim**-0.5,
        "output": (rows(checkpoint, f"{prefix}self_attn.o_proj", output_times),),
    }
    for part, letter in (("query", "q"), ("key", "k"), ("value", "v")):
        if part not in parts:
            settings[part] = (rows(checkpoint, f"{prefix}self_attn.{letter}_proj"),)
    if "rope" not in parts:
        settings["rope"] = rotary(checkpoint)
    return Attention(**(settings | parts))


def mlp(checkpoint: Checkpoint, prefix: str, output_times: float = 1.0) -> Mlp:
    """A gated feed-forward network."""
    gate, up = ((rows(checkpoint, f"{prefix}mlp.{part}_proj"),) for part in ("gate", "up"))
    down = (rows(checkpoint, f"{prefix}mlp.down_proj", output_times),)
    return Mlp(gate, up, down, activation(checkpoint))


def activation(checkpoint: Checkpoint) -> Activation:
    """The function that the configuration names."""
    name = str(checkpoint.config.get("hidden_activation") or checkpoint.config.get("hidden_act", "silu"))
    try:
        return _ACTIVATIONS[name]
    except KeyError:
        reason = tr("it has the activation “{name}”", name=name[:40])
        raise ArchitectureUnsupported(name=checkpoint.name, reason=reason) from None


def rows(checkpoint: Checkpoint, module: str, times: float = 1.0) -> Rows:
    """A whole matrix, with its bias where it has one."""
    bias = f"{module}.bias"
    return Rows(f"{module}.weight", bias=bias if bias in checkpoint.tensors else None, times=times)


def norm(checkpoint: Checkpoint, module: str, plus: float = 0.0, times: float = 1.0) -> Norm:
    """RMSNorm with this module's weight."""
    return Norm(Vector(f"{module}.weight", plus, times), checkpoint.factor("rms_norm_eps", 1e-6))


def rotary(checkpoint: Checkpoint, parameters: dict[str, Any] | None = None) -> Rope:
    """The rotary positions; those of the configuration, in its older or newer form, unless others are given."""
    length = checkpoint.count("max_position_embeddings")
    if parameters is None:
        parameters = {
            "rope_theta": checkpoint.number("rope_theta", 10000.0),
            "partial_rotary_factor": checkpoint.number("partial_rotary_factor", 1.0),
            **checkpoint.mapping("rope_scaling"),
            **checkpoint.mapping("rope_parameters"),
        }
        if checkpoint.config.get(_ORIGINAL_LENGTH) is not None:
            # As in transformers, what stands beside the parameters comes before what stands among them.
            parameters[_ORIGINAL_LENGTH] = checkpoint.count(_ORIGINAL_LENGTH)
    return rope(parameters, head_dim(checkpoint), length, checkpoint.name)


def head_count(checkpoint: Checkpoint) -> int:
    """Heads of the queries."""
    return checkpoint.count("num_attention_heads", most=_MOST_HEADS)


def kv_head_count(checkpoint: Checkpoint) -> int:
    """Heads of the keys and of the values, each for as many heads of the queries."""
    heads = head_count(checkpoint)
    count = checkpoint.count("num_key_value_heads", heads, most=heads)
    if heads % count:
        raise checkpoint.nonsense("num_key_value_heads")
    return count


def head_dim(checkpoint: Checkpoint) -> int:
    """Channels of one head."""
    default = checkpoint.count("hidden_size") // head_count(checkpoint)
    return checkpoint.count("head_dim", default, most=_MOST_CHANNELS)


def layer_count(checkpoint: Checkpoint) -> int:
    """How many layers it has; each has tensors of its own."""
    return checkpoint.count("num_hidden_layers", most=min(_MOST_LAYERS, len(checkpoint.tensors)))
