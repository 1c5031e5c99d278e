"""The speeds of a machine that no test has to measure."""

from __future__ import annotations

from hearth.models.speeds import Speeds


def speeds(bandwidth: float, compute: float = 5e11) -> Speeds:
    """All of them, in proportions that a processor has."""
    return Speeds(
        bandwidth=bandwidth,
        compute=compute,
        token_rate=0.95 * bandwidth,
        prompt_rate=compute,
        prompt_half=4,
        token_attention_rate=1.0 * bandwidth,
        prompt_attention_rate=0.4 * compute,
        prompt_attention_half=20,
        operator_seconds=1.5e-6,
    )
