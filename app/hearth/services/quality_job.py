"""What the process that measures quality is asked, and what it answers: lines of JSON. No numpy in here."""

from __future__ import annotations

import msgspec

from hearth.engine.host.protocol import EngineOptions
from hearth.model_folder.quality import Evaluation, QualityReport
from hearth.quantize.recipe import Recipe


class QualityJob(msgspec.Struct, frozen=True, kw_only=True, tag="report"):
    """Make the report of a model that was just built.

    Attributes:
        name: what the model is to be called.
        source: the checkpoint's folder.
        folder: the model that was built of it, by this recipe with every choice made.
        text: what it is measured on; empty takes the built-in text.
    """

    name: str
    source: str
    folder: str
    recipe: Recipe
    options: EngineOptions
    build_seconds: float
    language: str
    text: str = ""


class EvaluationJob(msgspec.Struct, frozen=True, kw_only=True, tag="evaluation"):
    """Measure a model of this machine on a text.

    Attributes:
        folder: the model's.
        reference: name and folder of the model that it is compared with; None where it is measured alone.
    """

    name: str
    folder: str
    text: str
    options: EngineOptions
    language: str
    reference: tuple[str, str] | None = None


class QualityProgress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is; of an evaluation, in tokens."""

    done: int
    total: int


class Reported(msgspec.Struct, frozen=True, tag="reported"):
    """What becomes of a `QualityJob`."""

    result: QualityReport


class Evaluated(msgspec.Struct, frozen=True, tag="evaluated"):
    """What becomes of an `EvaluationJob`."""

    result: Evaluation
