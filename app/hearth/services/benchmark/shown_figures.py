"""What the figures of a benchmark show of its models, kept for later estimates."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hearth.config import Config
from hearth.engine.host.protocol import ModelInfo
from hearth.engine.outputs import LEAST_WRITTEN
from hearth.errors import HearthError
from hearth.models.entry import ModelEntry
from hearth.services.benchmark.figures import Figure, What
from hearth.services.benchmark.side import SHORT_PROMPT
from hearth.services.model_fit import Fits
from hearth.services.shown_speed import Measured, keep_shown

log = logging.getLogger(__name__)


def keep_figures(
    config: Config, sides: Sequence[tuple[ModelEntry, ModelInfo]], figures: Sequence[Figure], written: int
) -> None:
    """Keep them beside the models' estimates. Two models measured by turns are compared so on equal terms.

    For two, this machine's own speed is measured now where that was not done often enough; for one, its figures are
    kept only where it is known already.

    Args:
        sides: the model, and the one measured beside it, if any.
        written: tokens of each answer.
    """
    for place, (entry, info) in enumerate(sides):
        measured = measured_in(figures, written, is_peer=bool(place))
        if measured is None:
            continue
        # Anew for each, with what the one before has shown.
        fits = Fits.open(config, measured=len(sides) > 1 and not place)
        try:
            shown = keep_shown(fits, entry, info, measured)
        except (HearthError, OSError) as error:  # the benchmark is good without it
            log.info("%s is not compared with its estimate: %s", entry.name, error)
            continue
        log.info("%s beside its estimate: %s", entry.name, shown)


def measured_in(figures: Sequence[Figure], written: int, *, is_peer: bool) -> Measured | None:
    """One answer after the shortest context, and the first prompt; None where no answer of some length was written alone."""
    values = {
        (figure.what, figure.tokens, figure.streams): figure.peer if is_peer else figure.hearth
        for figure in figures
    }
    alone = {
        tokens: speed
        for (what, tokens, streams), speed in values.items()
        if what is What.DECODE and streams == 1
    }
    prompts = {tokens: speed for (what, tokens, _), speed in values.items() if what is What.PREFILL}
    if not alone or written < LEAST_WRITTEN:
        return None
    context, prompt = min(alone), min(prompts, default=0)
    return Measured(
        context=max(context, SHORT_PROMPT) + written,
        written=written,
        write_speed=alone[context] or 0.0,
        read=prompt,
        read_speed=prompts.get(prompt) or 0.0,
        memory=round(values.get((What.MEMORY_ONE, prompt, 1)) or 0),
    )
