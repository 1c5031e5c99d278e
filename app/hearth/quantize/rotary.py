"""Frequencies of rotary positions, from a checkpoint's `rope_theta` and `rope_scaling` (or `rope_parameters`).

The kinds and their parameters are those of transformers' `modeling_rope_utils`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hearth.errors import ArchitectureUnsupported, ModelFileInvalid
from hearth.i18n import tr
from hearth.quantize.decoder import Decoder, Layer, Rope
from hearth.quantize.recipe import LONG


@np.errstate(all="ignore")  # what is infinite or no number is told by `_tuple`
def rope(parameters: Mapping[str, Any], head_dim: int, context_length: int, name: str) -> Rope:
    """The frequencies that `parameters` ask for.

    Args:
        parameters: `rope_theta`, `partial_rotary_factor` and those of the kind that `rope_type` names.
        context_length: positions that the model is made for, and was first trained on where `parameters` say nothing.
        name: of the model, for errors.

    Raises:
        ArchitectureUnsupported: the kind is not known.
        ModelFileInvalid: a parameter is missing or no number.
    """
    kind = str(parameters.get("rope_type", parameters.get("type", "default")))
    try:
        share = float(parameters.get("partial_rotary_factor", 1))
        if not 0 < share <= 1:
            raise ValueError(f"partial_rotary_factor: {share}")
        base = _plain(float(parameters["rope_theta"]), int(head_dim * share))
        original = int(parameters.get("original_max_position_embeddings") or context_length)
        match kind:
            case "default" | "dynamic":  # which are alike within the length that the model is made for
                return Rope(_tuple(base))
            case "linear":
                return Rope(_tuple(base / float(parameters["factor"])))
            case "llama3":
                return Rope(_tuple(_llama3(base, parameters, original)))
            case "yarn":
                return _yarn(base, parameters, original)
            case "longrope" | "su":
                return _longrope(base, parameters, context_length, original)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        reason = tr("its rotary positions make no sense ({detail})", detail=error)
        raise ModelFileInvalid(file=name, reason=reason) from error
    raise ArchitectureUnsupported(
        name=name, reason=tr("it has rotary positions of the kind “{kind}”", kind=kind[:40])
    )


def _plain(theta: float, dim: int) -> np.ndarray:
    """float64 [dim / 2]."""
    frequencies: np.ndarray = theta ** (-np.arange(0, dim, 2, dtype=np.float64) / dim)
    return frequencies


def _llama3(base: np.ndarray, parameters: Mapping[str, Any], original: int) -> np.ndarray:
    """Long waves are stretched, short ones kept, those between interpolated."""
    factor = float(parameters["factor"])
    low, high = float(parameters["low_freq_factor"]), float(parameters["high_freq_factor"])
    turns = original * base / (2 * math.pi)
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    stretched: np.ndarray = (1 - smooth) * base / factor + smooth * base
    return stretched


def _yarn(base: np.ndarray, parameters: Mapping[str, Any], original: int) -> Rope:
    """YaRN (arXiv:2309.00071)."""
    factor = float(parameters["factor"])
    dim, theta = 2 * len(base), float(parameters["rope_theta"])

    def turning(turns: float) -> float:
        """The channel whose wave turns so often within the original length."""
        return dim * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = turning(float(parameters.get("beta_fast") or 32))
    high = turning(float(parameters.get("beta_slow") or 1))
    if parameters.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    ramp = np.clip((np.arange(dim // 2) - low) / max(high - low, 0.001), 0, 1)
    frequencies = base / factor * ramp + base * (1 - ramp)
    return Rope(_tuple(frequencies), attention_factor=_yarn_factor(parameters, factor))


def _yarn_factor(parameters: Mapping[str, Any], factor: float) -> float:
    def strength(mscale: float = 1.0) -> float:
        return 1.0 if factor <= 1 else 0.1 * mscale * math.log(factor) + 1.0

    given = parameters.get("attention_factor")
    if given is not None:
        return float(given)
    mscale, whole = parameters.get("mscale"), parameters.get("mscale_all_dim")
    if mscale and whole:
        return strength(float(mscale)) / strength(float(whole))
    return strength()


def _longrope(base: np.ndarray, parameters: Mapping[str, Any], context: int, original: int) -> Rope:
    """LongRoPE (arXiv:2402.13753): one set of frequencies up to the original length, another beyond.

    Both have the same factor on attention: it comes from how far beyond the original length the model was taken.
    """
    factor = float(parameters.get("factor") or context / original)
    given = parameters.get("attention_factor")
    strength = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(original))
    strength = strength if given is None else float(given)
    short, long = (
        Rope(_tuple(base / _factors(parameters, key, len(base))), attention_factor=strength)
        for key in ("short_factor", "long_factor")
    )
    if context <= original:
        return short
    return replace(short, long=long, original_length=original)


def _factors(parameters: Mapping[str, Any], key: str, count: int) -> np.ndarray:
    """float64 [count], one for each frequency."""
    factors = parameters[key]
    if not isinstance(factors, list) or len(factors) != count:
        raise ValueError(key)
    return np.asarray(factors, np.float64)


def choose_rope(decoder: Decoder, context: str) -> Decoder:
    """The decoder with one set of frequencies and the length that it is for, where its checkpoint leaves a choice.

    One set for all, since keys that were rotated by one are of no use to queries rotated by the other: a text that
    grows beyond the original length would have to be read anew.

    Args:
        context: as in `Recipe`.
    """
    ropes = [layer.attention.rope for layer in decoder.layers]
    lengths = [rope.original_length for rope in ropes if rope and rope.long]
    if not lengths:
        return decoder
    layers = tuple(_with_chosen_rope(layer, context) for layer in decoder.layers)
    length = decoder.context_length if context == LONG else min(lengths)
    return replace(decoder, layers=layers, context_length=length)


def _with_chosen_rope(layer: Layer, context: str) -> Layer:
    rope = layer.attention.rope
    if rope is None or rope.long is None:
        return layer
    chosen = rope.long if context == LONG else replace(rope, long=None, original_length=0)
    return replace(layer, attention=replace(layer.attention, rope=chosen))


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    if not np.isfinite(values).all():
        raise ValueError(tr("a frequency is no number"))
    return tuple(map(float, values))
