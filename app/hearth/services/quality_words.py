"""What a quality report says, in plain words."""

from __future__ import annotations

from hearth.i18n import tr
from hearth.model_folder.quality import Measured, QualityReport, Way

_GOOD, _FAIR = 0.95, 0.88
# Of those who have fewer, the recipe “quality” would keep more.
_QUALITY_BITS = 7.0


def plain_text(report: QualityReport) -> str:
    """How near the answers are to those of the original, in a sentence."""
    measured = as_answers_are(report)
    agreement = None if measured is None else measured.top1_agreement
    if agreement is None:
        return tr("It was not compared with the original.")
    times = min(100, int(agreement.value * 100 + 0.5))
    if times == 100:
        return tr("It chose the same next word as the original each time.")
    return tr("It chose the same next word as the original {n} of 100 times.", n=times)


def judgement(report: QualityReport) -> str:
    """What to think of that; empty where nothing was measured."""
    measured = as_answers_are(report)
    agreement = None if measured is None else measured.top1_agreement
    if agreement is None:
        return ""
    if agreement.value >= _GOOD:
        return tr("You will hardly notice a difference.")
    if agreement.value >= _FAIR:
        return tr("That is usual: answers differ in words, seldom in sense.")
    if report.bits_per_weight < _QUALITY_BITS:
        return tr("That is little: the recipe “Quality” keeps more, where memory allows it.")
    return tr("That is little.")


def as_answers_are(report: QualityReport) -> Measured | None:
    """What was measured as one answer is written, or however it was measured."""
    found = {measured.way: measured for measured in report.evaluation.measured}
    return next((found[way] for way in (Way.SINGLE, Way.PREFILL, Way.BATCH) if way in found), None)
