"""What calibration found, by the names of modules."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hearth.quantize.rounding.inputs import Inputs
from hearth.quantize.rounding.scheme import Scheme


def expert_part(module: str, expert: int) -> str:
    """The name of one expert's part of a matrix that is of all experts."""
    return f"{module}.{expert}"


@dataclass(slots=True)
class Findings:
    """Grows from layer to layer.

    Attributes:
        shapes: rows and columns of each matrix.
        inputs: what each matrix meets; that of a number after a module's name is what this expert's part of it meets.
        losses: what rounding this matrix alone, or what a pattern stands for together, does to the answers: the mean KL divergence, in nats; before the head is
            done, as a share of what its trial does.
        trials: by what the names of some modules begin with, sums of a sample after the latest layer where these modules
            alone are rounded, float32 [sequences, tokens, hidden_size]; until the head shows what that does.
        peaks: by the name of the past, the largest key or value of each channel, float32 [kv_heads, head_dim].
        folds: what the channels after a module are divided by (AWQ), float32 [channels]; see `rounding/awq.py`.
    """

    shapes: dict[str, tuple[int, int]] = field(default_factory=dict)
    inputs: dict[str, Inputs] = field(default_factory=dict)
    losses: dict[str, dict[Scheme, float]] = field(default_factory=dict)
    trials: dict[str, np.ndarray] = field(default_factory=dict)
    peaks: dict[str, np.ndarray] = field(default_factory=dict)
    folds: dict[str, np.ndarray] = field(default_factory=dict)

    def met(self, module: str, expert: int) -> Inputs | None:
        """What the part of one expert meets, or where that is not known by itself, all of them."""
        return self.inputs.get(expert_part(module, expert)) or self.inputs.get(module)

    def take(self, other: Findings) -> None:
        """Have what another has found."""
        self.shapes.update(other.shapes)
        self.inputs.update(other.inputs)
        self.losses.update(other.losses)
        self.trials.update(other.trials)
        self.peaks.update(other.peaks)
        self.folds.update(other.folds)

    def forget_feedback(self, prefix: str) -> None:
        """Of the modules whose names begin so: it is far too large to be kept for all."""
        for name, inputs in self.inputs.items():
            if name.startswith(prefix):
                self.inputs[name] = Inputs(inputs.importance)
