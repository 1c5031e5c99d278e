"""What a benchmark gives: Hearth's figures, and beside them those of a peer."""

from __future__ import annotations

from enum import StrEnum
from statistics import median

import msgspec


class What(StrEnum):
    """What a figure measures.

    A load begins with starting the process, and its `model` part is that of the model alone: interpreter and libraries
    are left out. Cold and warm say whether the model's files were in the system's file cache. Memory is that which no
    file backs.
    """

    LOAD_COLD = "load_cold"
    LOAD_WARM = "load_warm"
    MODEL_COLD = "model_cold"
    MODEL_WARM = "model_warm"
    PREFILL = "prefill"
    FIRST_TOKEN = "first_token"  # noqa: S105 (no secret)
    DECODE = "decode"
    MEMORY_LOADED = "memory_loaded"  # before the first request
    MEMORY_ONE = "memory_one_stream"  # at most, reading the shortest prompt and writing one answer
    MEMORY_MANY = "memory_all_streams"  # at most, with as many streams as were measured
    MEMORY_MOST = "memory_most"  # at most, over everything
    NOISE = "noise"  # RMS error of the logits against float32 activations, as a part of their RMS

    @property
    def unit(self) -> str:
        if self in (What.PREFILL, What.DECODE):
            return "tokens/s"
        if self.startswith("memory"):
            return "bytes"
        return "fraction" if self is What.NOISE else "seconds"


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was measured.

    Attributes:
        tokens: of the prompt for `prefill` and `first_token`, of the context for `decode`.
        streams: answers that are written at once.
        hearth, peer: medians of their runs; None where there is no such figure.
        ratio: how many times as good as the peer Hearth is, so above 1 where it is ahead.
    """

    what: What
    unit: str
    tokens: int
    streams: int
    hearth: float | None
    peer: float | None
    ratio: float | None
    hearth_runs: list[float]
    peer_runs: list[float]


class Key(msgspec.Struct, frozen=True):
    """Which figure a run counts for."""

    what: What
    tokens: int = 0
    streams: int = 0

    def figure(self, hearth_runs: list[float], peer_runs: list[float]) -> Figure:
        hearth, peer = (median(runs) if runs else None for runs in (hearth_runs, peer_runs))
        ratio = None
        if hearth and peer:
            ratio = hearth / peer if self.what.unit == "tokens/s" else peer / hearth
        return Figure(
            what=self.what,
            unit=self.what.unit,
            tokens=self.tokens,
            streams=self.streams,
            hearth=hearth,
            peer=peer,
            ratio=ratio,
            hearth_runs=hearth_runs,
            peer_runs=peer_runs,
        )
