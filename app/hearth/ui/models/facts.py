"""What is known of a model, in the words of a person. No widgets in here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from PySide6.QtCore import QDate, QDir, QLocale

from hearth.i18n import tr
from hearth.model_folder.manifest import GENAI, GGML, GGUF, REMOTE, count_text
from hearth.model_folder.quality import QualityReport
from hearth.model_folder.speed import SpeedReport
from hearth.services.model_overview import ModelOverview
from hearth.services.quality_words import judgement, plain_text
from hearth.ui.add_model.quality_figures import figures_text, size_words
from hearth.ui.relative_date import relative_date
from hearth.ui.wording import measured_speed_text, memory_text, size_text, two_sentences

_COMMIT = 40
_SHORT_COMMIT = 10
_FORMATS = {GENAI: "ONNX", GGUF: "GGUF", GGML: "GGML"}


class Fact(NamedTuple):
    """One line of a page.

    Attributes:
        is_long: it may be longer than any line, such as a path.
    """

    label: str
    value: str
    is_long: bool = False


def format_text(format_: str) -> str:
    """The format in a word, as a badge has it."""
    return tr("Remote") if format_ == REMOTE else _FORMATS.get(format_, format_)


def number_text(number: int) -> str:
    """A whole number as it is grouped here, such as “32,768”."""
    return QLocale().toString(number)


def size_of(model: ModelOverview) -> str:
    """How large its files are, or that it has none here."""
    return tr("on a server") if model.remote else size_text(model.bytes)


def last_used_text(moment: datetime | None) -> str:
    return tr("Never") if moment is None else relative_date(moment, datetime.now(UTC))


def about(model: ModelOverview) -> list[Fact]:
    """Where it is from."""
    facts = []
    if model.remote:
        facts.append(Fact(tr("Server"), model.remote.address, is_long=True))
        facts.append(Fact(tr("Called there"), model.remote.model, is_long=True))
        facts.append(Fact(tr("Key"), tr("in the system's key store") if model.remote.has_key else tr("none")))
    else:
        facts.append(Fact(tr("From"), _from(model), is_long=True))
        facts.append(Fact(tr("Version (revision)"), _short(model.revision)))
        facts.append(Fact(tr("Licence"), model.licence or tr("not stated")))
    if model.imported_at is not None:
        local = model.imported_at.astimezone()
        facts.append(
            Fact(tr("Added"), QLocale().toString(QDate(local.year, local.month, local.day), tr("d MMM yyyy")))
        )
    facts.append(Fact(tr("Last used"), last_used_text(model.last_used)))
    facts.append(Fact(tr("Also called"), ", ".join(model.aliases), is_long=True))
    return _known(facts)


def model_itself(model: ModelOverview) -> list[Fact]:
    """What it is."""
    tokens = tr("{tokens} tokens", tokens=number_text(model.context_length)) if model.context_length else ""
    return _known(
        [
            Fact(tr("Format"), _format(model.format)),
            Fact(tr("Architecture"), model.architecture),
            Fact(tr("Parameters"), count_text(model.parameters)),
            Fact(tr("Compression (quantization)"), model.quantization),
            Fact(tr("Longest conversation"), tokens),
            Fact(
                tr("Chat"),
                "" if model.has_chat_template or model.remote else tr("no: it only continues text"),
            ),
        ]
    )


def on_this_computer(model: ModelOverview) -> list[Fact]:
    """What it takes here; nothing for one on a server."""
    if model.remote:
        return []
    memory = memory_text(model.memory_bytes) if model.memory_bytes else ""
    if memory:
        kind = tr("measured") if model.is_memory_measured else tr("estimated")
        memory = tr("{text} ({detail})", text=memory, detail=kind)
    place = QDir.toNativeSeparators(str(model.path))
    return _known(
        [
            Fact(tr("Size"), size_text(model.bytes)),
            Fact(tr("Memory"), memory),
            Fact(tr("Files"), place, is_long=True),
            Fact("", _kept(model)),
        ]
    )


def speed(report: SpeedReport | None) -> list[Fact]:
    """How fast it was; nothing where that was not measured."""
    if report is None:
        return []
    rate = tr("{speed} tokens per second")
    read = rate.format(speed=measured_speed_text(report.read_speed)) if report.read_speed else ""
    write = rate.format(speed=measured_speed_text(report.write_speed)) if report.write_speed else ""
    load = tr("{seconds} seconds", seconds=f"{report.load_seconds:.2g}") if report.load_seconds else ""
    when = relative_date(report.measured_at, datetime.now(UTC))
    return _known(
        [
            Fact(tr("Writes"), write),
            Fact(tr("Reads"), read),
            Fact(tr("Loads in"), load),
            Fact(tr("Measured"), tr("{text} ({detail})", text=when, detail=_runner(report.provider))),
        ]
    )


def quality_note(report: QualityReport) -> str:
    """How near the model is to the one that it was made of, in sentences."""
    return two_sentences(plain_text(report), judgement(report))


def quality(report: QualityReport | None) -> list[Fact]:
    """What quantizing did to it; nothing where that was not measured."""
    if report is None:
        return []
    return _known(
        [
            Fact(tr("Size"), size_words(report)),
            Fact(tr("Figures"), figures_text(report)),
            Fact(tr("Original"), report.evaluation.reference, is_long=True),
        ]
    )


def _format(format_: str) -> str:
    text = format_text(format_)
    return tr("{text} ({detail})", text=text, detail=format_) if format_ == GENAI else text


def _from(model: ModelOverview) -> str:
    source = tr("part of Hearth") if model.built_in else model.source or tr("not known")
    return tr("{text} ({detail})", text=source, detail=model.app) if model.app else source


def _kept(model: ModelOverview) -> str:
    """Whose the files are."""
    if model.built_in:
        return tr("They are part of Hearth.")
    if model.app:
        return tr("They belong to {app} and are used where they are.", app=model.app)
    if model.in_place:
        return tr("They are yours and are used where they are.")
    return ""


def _runner(provider: str) -> str:
    """What a model ran on, without what ONNX Runtime adds to all of its names."""
    return provider.removesuffix("ExecutionProvider")


def _short(revision: str) -> str:
    return revision[:_SHORT_COMMIT] if len(revision) == _COMMIT else revision


def _known(facts: list[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact.value]
