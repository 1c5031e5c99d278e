"""A loaded model run for a moment: how fast it is, and what it computes."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from hearth.engine.model_runner import ModelRunner

# Shortest context that can be measured, and the longest that is used of it, in tokens.
LEAST_TOKENS = 16
MOST_TOKENS = 192
_PROMPT_TOKENS = 32
# Decoded beside the prompt for the comparison: these read the keys and values that the prompt left.
_COMPARED_STEPS = 3
# What is measured for less is measured again, or for longer.
_ENOUGH_SECONDS = 0.25
_LEAST_STEPS = 3

# Relative RMS. Kernels that round activations to int8 differ from others by up to 7 % (DESIGN.md), and a device may
# have the one kind and the CPU the other; what is wrong differs by about 100 %.
MOST_ERROR = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run gave.

    Attributes:
        logits: after the prompt and after each compared step, float32 [steps, vocab_size].
        read_speed, write_speed: tokens per second of a prompt, and of one answer.
    """

    logits: np.ndarray
    read_speed: float
    write_speed: float


def measure(runner: ModelRunner) -> Measured:
    """Run the model for a moment: a second on two CPU cores (1.5B parameters). Slots are empty before and afterwards.

    The prompt is the same each time, so that two runs can be compared.

    Args:
        runner: with a context of at least LEAST_TOKENS.

    Raises:
        ModelRunFailed: it fails.
    """
    length = min(MOST_TOKENS, runner.context_length)
    rng = np.random.default_rng(0)
    prompt = rng.integers(runner.vocab_size, size=min(_PROMPT_TOKENS, length // 4)).tolist()
    compared = rng.integers(runner.vocab_size, size=_COMPARED_STEPS).tolist()
    runner.reserve(1, length)
    started = time.perf_counter()
    logits = [runner.prefill(0, prompt).copy()]
    read_seconds, started = _lap(started)
    logits += [runner.decode(0, [token])[0].copy() for token in compared]
    write_seconds, started = _lap(started)
    # First runs prepare what the kernels prepare only once. Where that matters, they are over soon.
    if read_seconds < _ENOUGH_SECONDS:
        runner.prefill(0, prompt)
        read_seconds, started = _lap(started)
    steps = len(compared)
    if write_seconds < _ENOUGH_SECONDS:
        steps, most = 0, length - 2 * len(prompt) - len(compared)
        while steps < most and (steps < _LEAST_STEPS or time.perf_counter() - started < _ENOUGH_SECONDS):
            runner.decode(0, [prompt[0]])
            steps += 1
        write_seconds, started = _lap(started)
    runner.truncate(0, 0)
    runner.release()
    return Measured(np.stack(logits), len(prompt) / read_seconds, steps / write_seconds)


def _lap(started: float) -> tuple[float, float]:
    """Seconds since then, and now."""
    now = time.perf_counter()
    return now - started, now
