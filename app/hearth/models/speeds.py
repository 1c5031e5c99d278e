"""How fast a machine is at what models do, as measured (`hardware/speed.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec


class Speeds(msgspec.Struct, frozen=True, kw_only=True):
    """All cores together; 0 where it could not be measured.

    Attributes:
        bandwidth: bytes of memory that are read in a second.
        compute: float32 operations in a second, in a product of matrices that lie in the caches.
        token_rate: bytes of 4-bit weights that products with a single token go through in a second.
        prompt_rate: operations in a second in products of 4-bit weights with long chunks of a prompt; two for each weight
            and token.
        prompt_half: tokens of a chunk with which half of that is reached (n_1/2 of Hockney and Jesshope, 1981).
        token_attention_rate: operations in a second of attention with a single token; four for each number of each key
            that the token looks at.
        prompt_attention_rate, prompt_attention_half: the same with a prompt, as for products.
        operator_seconds: what the smallest product takes.
    """

    bandwidth: float = 0.0
    compute: float = 0.0
    token_rate: float = 0.0
    prompt_rate: float = 0.0
    prompt_half: float = 0.0
    token_attention_rate: float = 0.0
    prompt_attention_rate: float = 0.0
    prompt_attention_half: float = 0.0
    operator_seconds: float = 0.0

    @classmethod
    def middle(cls, measured: Sequence[Speeds]) -> Speeds:
        """Of each speed the middle one, since any of them may have met a machine that did something else."""
        return cls(
            **{
                name: median([getattr(one, name) for one in measured] or [0.0])
                for name in cls.__struct_fields__
            }
        )
