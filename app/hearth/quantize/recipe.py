"""How a model is quantized: which bits, in which blocks, rounded how."""

from __future__ import annotations

from collections.abc import Collection
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from hearth.errors import RecipeOverrideUnmatched
from hearth.quantize.rounding.scheme import BITS, BLOCK_SIZES, INTEGER_BITS, Scheme

NO_TEXT, BUILT_IN_TEXT = "none", "built-in"
ORIGINAL, LONG = "original", "long"
HEAD, EMBEDDING = "lm_head", "model.embed_tokens"
_EXPERTS = ".experts."


def choice_name(module: str) -> str:
    """What a module's matrix gets its bits as: itself, or with all others of its layer's experts, as a pattern."""
    before, is_expert, _ = module.partition(_EXPERTS)
    return f"{before}{_EXPERTS}*" if is_expert else module


def _choice(*values: Any) -> dict[str, Any]:
    return {"choices": values}


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is otherwise for the matrices whose name a pattern matches, such as `*.down_proj`."""

    pattern: Annotated[str, Meta(description="Names of matrices; * stands for anything.")]
    bits: Annotated[int | None, Meta(extra=_choice(*BITS))] = None
    block_size: Annotated[int | None, Meta(extra=_choice(*BLOCK_SIZES))] = None
    symmetric: Annotated[bool | None, Meta()] = None


class Mixed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Bits chosen for each matrix by what they cost and what they spoil, within a budget.

    Those of the experts of a layer get the same: their operator wants it so.
    """

    bits_per_weight: Annotated[
        float,
        Meta(gt=0, le=32, description="The budget, as a mean over all matrices, scales included."),
    ] = 0.0
    bytes: Annotated[
        int,
        Meta(ge=1, le=1 << 50, description="The budget, as the size of all matrices; instead of the above."),
    ] = 0
    bits: Annotated[
        tuple[int, ...], Meta(extra=_choice(*BITS), description="What there is to choose from.")
    ] = (4, 8)
    block_sizes: Annotated[
        tuple[int, ...],
        Meta(
            extra=_choice(*BLOCK_SIZES),
            description="Block sizes to choose from; the recipe's own if left out.",
        ),
    ] = ()


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One way to quantize a model. A recipe file is these keys; see `recipe_file.py`."""

    name: Annotated[str, Meta(description="What the recipe is called.")]
    bits: Annotated[
        int,
        Meta(description="Bits of each weight in the layers; 16 and 32 keep floats.", extra=_choice(*BITS)),
    ] = 4
    block_size: Annotated[
        int,
        Meta(
            description="Weights in a row that share a scale. Larger blocks are smaller and faster, and rounded more"
            " coarsely; with 32, an answer never depends on what else is answered at the same time.",
            extra=_choice(*BLOCK_SIZES),
        ),
    ] = 32
    symmetric: Annotated[
        bool,
        Meta(
            description="Whether zero lies in the middle of each block's range; else each block says where."
        ),
    ] = True
    rounding: Annotated[
        str,
        Meta(
            description="How weights are rounded: “nearest” is the fastest, “scale-search” tries several scales for"
            " each block, “hqq” lets outliers be wrong for the sake of the rest, “gptq” lets each column make up for the"
            " errors of others and takes the longest, “awq” makes weights that meet large inputs larger first.",
            extra=_choice("nearest", "scale-search", "hqq", "gptq", "awq"),
        ),
    ] = "nearest"
    calibration: Annotated[
        str,
        Meta(
            description="Text that shows which weights matter: “none”, “built-in”, or a text file, by its path from the recipe's folder.",
        ),
    ] = NO_TEXT
    calibration_tokens: Annotated[
        int, Meta(ge=256, le=1 << 20, description="How much of that text is read, in tokens.")
    ] = 2048
    head_bits: Annotated[
        int,
        Meta(
            description="Bits of the head, and of an embedding that is the same matrix; 0 is as in the layers.",
            extra=_choice(0, *BITS),
        ),
    ] = 0
    embedding_bits: Annotated[
        int,
        Meta(
            description="Bits of the embedding, where they shall not be those of the head; 0 is as the head.",
            extra=_choice(0, *BITS),
        ),
    ] = 0
    accuracy_level: Annotated[
        int,
        Meta(
            description="How precisely products are computed: 4 rounds activations to 8 bits and is fast, 1 keeps floats.",
            extra=_choice(1, 4),
        ),
    ] = 4
    kv_cache: Annotated[
        str,
        Meta(
            description="What keys and values are kept as: “float”, or “int8”, which takes a quarter of the memory and"
            " runs on the processor only.",
            extra=_choice("float", "int8"),
        ),
    ] = "float"
    target: Annotated[
        str,
        Meta(
            description="What the model shall run on: “cpu”, or “gpu” for 16-bit floats all through.",
            extra=_choice("cpu", "gpu"),
        ),
    ] = "cpu"
    context: Annotated[
        str,
        Meta(
            description="How long texts may be, for the few models that were stretched after they were trained (Phi-3 and"
            " Phi-4-mini with LongRoPE): “original” answers best within the length that they were trained on, often 4,096"
            " tokens, and takes no more; “long” takes their full length, and answers short texts a little worse. Other"
            " models have one length, whatever stands here.",
            extra=_choice(ORIGINAL, LONG),
        ),
    ] = ORIGINAL
    mixed: Mixed | None = None
    overrides: tuple[Override, ...] = ()

    @property
    def target_is_gpu(self) -> bool:
        return self.target == "gpu"

    @property
    def is_calibrated(self) -> bool:
        """Whether the model is run on a text before its weights are rounded."""
        return self.has_int8_cache or (
            self.has_integers
            and (self.calibration != NO_TEXT or self.mixed is not None or self.has_feedback or self.is_scaled)
        )

    @property
    def has_integers(self) -> bool:
        """Whether some matrices may become integers: floats are not rounded, whatever the way to round."""
        said = (self.bits, self.head_bits, self.embedding_bits, *(one.bits for one in self.overrides))
        return self.mixed is not None or any(bits in INTEGER_BITS for bits in said)

    @property
    def has_feedback(self) -> bool:
        """Whether rounding needs the second moments of a layer's inputs: far too large to be kept for all layers."""
        return self.rounding == "gptq" and self.has_integers

    @property
    def is_scaled(self) -> bool:
        """Whether columns are multiplied by factors before they are rounded, which the module before makes up for."""
        return self.rounding == "awq" and self.has_integers

    @property
    def has_int8_cache(self) -> bool:
        return self.kv_cache == "int8"

    @property
    def scale_bytes(self) -> int:
        """Of one scale: it has the type of what flows through the graph."""
        return 2 if self.target_is_gpu else 4

    @property
    def shares_embedding(self) -> bool:
        """Whether an embedding that is the head's matrix is kept once for both."""
        return self.scheme_for(HEAD) == self.scheme_for(EMBEDDING)

    def with_bits(self, bits: int) -> Recipe:
        """The same with so many bits in all layers, whatever it would choose by measuring."""
        return msgspec.structs.replace(self, bits=bits, mixed=None)

    def with_block_size(self, block_size: int) -> Recipe:
        """The same with blocks of this size, also where it chooses bits by measuring."""
        mixed = msgspec.structs.replace(self.mixed, block_sizes=()) if self.mixed else None
        return msgspec.structs.replace(self, block_size=block_size, mixed=mixed)

    def check_overrides(self, names: Collection[str]) -> None:
        """Whether each override is for some of a model's matrices, which have these names.

        Raises:
            RecipeOverrideUnmatched: one is for none.
        """
        for pattern in (override.pattern for override in self.overrides):
            if not any(fnmatchcase(name, pattern) for name in names):
                nearest = max(names, key=lambda name: SequenceMatcher(None, pattern, name).ratio())
                raise RecipeOverrideUnmatched(recipe=self.name[:100], pattern=pattern[:100], nearest=nearest)

    def scheme_for(self, name: str) -> Scheme:
        """How the matrix of this module is kept; the last override that matches it counts."""
        bits, block_size, symmetric = self.bits, self.block_size, self.symmetric
        if name in (HEAD, EMBEDDING):
            bits = self.head_bits or bits
        if name == EMBEDDING:
            bits = self.embedding_bits or bits
        for override in self.overrides:
            if fnmatchcase(name, override.pattern):
                bits = override.bits or bits
                block_size = override.block_size or block_size
                symmetric = symmetric if override.symmetric is None else override.symmetric
        return Scheme(bits, block_size, symmetric)
