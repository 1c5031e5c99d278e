"""The figures of a quality report, as they are shown beside its plain words."""

from __future__ import annotations

from PySide6.QtCore import QLocale

from hearth.i18n import tr
from hearth.model_folder.quality import QualityReport
from hearth.services.quality_words import as_answers_are
from hearth.ui.wording import size_text

_ORIGINAL_BITS = 16


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
    measured = as_answers_are(report)
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
