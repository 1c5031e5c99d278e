"""How good a model's answers are beside those of a reference: figures that a manifest keeps, and that can be compared."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Way(StrEnum):
    """How the model was run: many tokens of one text, one token of one text, or one token of each of several texts.

    Each is another kernel of ONNX Runtime, so each has figures of its own.
    """

    PREFILL = "prefill"
    SINGLE = "single"
    BATCH = "batch"


class Estimate(msgspec.Struct, frozen=True):
    """A mean over positions, and its standard error as if they were independent; 0 where there is but one."""

    value: float
    error: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured in one way.

    Attributes:
        rows: texts that were read together.
        positions: tokens that were predicted.
        perplexity, reference_perplexity: of the model, and of its reference at the same positions.
        kl_divergence: KL(reference || model) of the next token, in nats, in the mean.
        top1_agreement: how often both find the same token most likely, 0 to 1.
    """

    way: Way
    rows: int
    positions: int
    perplexity: Estimate
    reference_perplexity: Estimate | None = None
    kl_divergence: Estimate | None = None
    top1_agreement: Estimate | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A model on a text. Two of them can be compared where text, number of tokens and window are the same.

    Attributes:
        text: SHA-256 of the text in UTF-8, in hexadecimal.
        tokens: that were read in `prefill`.
        window: the text is cut into pieces of so many tokens, each read by itself.
        reference: what the model was compared with; empty where nothing.
        seconds: that it took.
    """

    text: str
    tokens: int
    window: int
    reference: str = ""
    seconds: float = 0.0
    measured: tuple[Measured, ...] = ()


class MatrixError(msgspec.Struct, frozen=True):
    """What rounding did to one matrix.

    Attributes:
        name: the module's, such as `model.layers.0.mlp.down_proj`.
        error: RMS of the difference to the checkpoint's weights, as a part of their RMS.
    """

    name: str
    bits: int
    block_size: int
    error: float


class QualityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What quantization did to a model.

    Attributes:
        evaluation: against the unquantized checkpoint in float32.
        bytes: of the file of weights.
        bits_per_weight: bits of that file for each number of the checkpoint's matrices.
        build_seconds: that it took to make the model.
        accuracy_level: how `MatMulNBits` takes activations: 4 as int8, 1 as float32.
        kv_cache: what keys and values are kept as, here and where the model is used: "float" or "int8".
        unscaled: matrices that AWQ's factors do not apply to, where the recipe asks for them.
        layers: for each, RMS of the difference in what it adds to the hidden state, as a part of the RMS of that, where
            it is given the hidden states of the reference.
        matrices: each that was rounded.
    """

    evaluation: Evaluation
    bytes: int
    bits_per_weight: float
    build_seconds: float
    accuracy_level: int
    kv_cache: str = "float"
    unscaled: tuple[str, ...] = ()
    layers: tuple[float, ...] = ()
    matrices: tuple[MatrixError, ...] = ()
