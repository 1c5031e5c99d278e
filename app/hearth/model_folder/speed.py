"""How fast a model was when it was last measured."""

from __future__ import annotations

from datetime import datetime

import msgspec


class SpeedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a benchmark of one model gave on one machine; a figure that was not measured is None.

    Attributes:
        machine: what the figures depend on: system, processor, cores.
        provider: what the model ran on, by the name that its runtime has for it.
        prompt_tokens: of the prompt that `read_speed` is for.
        read_speed, write_speed: tokens per second of a prompt, and of one answer after a short one.
        load_seconds: from starting the process to the first request, the files being in the file cache.
        memory_bytes: the most that the process had for itself, files not counted.
    """

    machine: str
    measured_at: datetime
    provider: str
    threads: int
    prompt_tokens: int
    read_speed: float | None = None
    write_speed: float | None = None
    load_seconds: float | None = None
    memory_bytes: int | None = None
