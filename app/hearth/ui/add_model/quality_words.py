"""What a quality report says, in plain words and in figures."""

from __future__ import annotations

from PySide6.QtCore import QLocale

from hearth.i18n import tr
from hearth.model_folder.quality import Measured, QualityReport, Way
from hearth.ui.wording import size_text

_ORIGINAL_BITS = 16
_GOOD, _FAIR = 0.95, 0.88


def plain_text(report: QualityReport) -> str:
    """How near the answers are to those of the original, in a sentence."""
    measured = _measured(report)
    agreement = None if measured is None else measured.top1_agreement
    if agreement is None:
        return tr("It was not compared with the original.")
    times = min(100, int(agreement.value * 100 + 0.5))
    if times == 100:
        return tr("It chose the same next word as the original each time.")
    return tr("It chose the same next word as the original {n} of 100 times.", n=times)


def judgement(report: QualityReport) -> str:
    """What to think of that; empty where nothing was measured."""
    measured = _measured(report)
    agreement = None if measured is None else measured.top1_agreement
    if agreement is None:
        return ""
    if agreement.value >= _GOOD:
        return tr("You will hardly notice a difference.")
    if agreement.value >= _FAIR:
        return tr("That is usual: answers differ in words, seldom in sense.")
    return tr("That is little: the recipe “Quality” keeps more, where memory allows it.")


def size_words(report: QualityReport) -> str:
    """Its size beside that of the original."""
    if report.bits_per_weight <= 0:
        return size_text(report.bytes)
    original = round(report.bytes * _ORIGINAL_BITS / report.bits_per_weight)
    return tr(
        "{size}, where the original has {original}",
        size=size_text(report.bytes),
        original=size_text(original),
    )


def figures_text(report: QualityReport) -> str:
    """For those who want them: divergence, perplexity, bits a weight."""
    locale, parts = QLocale(), []
    measured = _measured(report)
    if measured is not None and measured.kl_divergence is not None:
        value = locale.toString(measured.kl_divergence.value, "f", 4)
        parts.append(tr("KL divergence {n} nats", n=value))
    if measured is not None and measured.reference_perplexity is not None:
        parts.append(
            tr(
                "perplexity {n} (original {original})",
                n=locale.toString(measured.perplexity.value, "f", 2),
                original=locale.toString(measured.reference_perplexity.value, "f", 2),
            )
        )
    parts.append(tr("{n} bits a weight", n=locale.toString(report.bits_per_weight, "f", 1)))
    return " · ".join(parts)


def _measured(report: QualityReport) -> Measured | None:
    """As one answer is written, or however it was measured."""
    found = {measured.way: measured for measured in report.evaluation.measured}
    return next((found[way] for way in (Way.SINGLE, Way.PREFILL, Way.BATCH) if way in found), None)
