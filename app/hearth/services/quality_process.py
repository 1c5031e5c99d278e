"""Quality measured in a process of its own, which alone carries ONNX Runtime: `python -m hearth.services.quality_process`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hearth.child_process import Caller, ChildProcess, be_modest, log_to_stderr, own_command
from hearth.errors import MeasuringCancelled, MeasuringCrashed, ModelUnsupported, writing_failed
from hearth.hardware.machine import read_machine
from hearth.i18n import language, tr, use_language
from hearth.model_folder.manifest import GENAI
from hearth.paths import log_file
from hearth.services.engine_options import engine_options, with_threads
from hearth.services.quality_job import Evaluated, EvaluationJob, QualityJob, QualityProgress, Reported

if TYPE_CHECKING:
    from hearth.config import EngineSection
    from hearth.model_folder.quality import Evaluation, QualityReport
    from hearth.models.registry import ModelRegistry

_Answer = TypeVar("_Answer", Reported, Evaluated)

_TELL_SECONDS = 0.25
_NICENESS = 10


def measure_quality(
    job: QualityJob, progress: Callable[[QualityProgress], None], cancelled: Callable[[], bool]
) -> QualityReport:
    """The report, made in another process.

    Args:
        progress: called several times a second.
        cancelled: asked as often; True ends it.

    Raises:
        MeasuringCancelled: `cancelled` said so.
        MeasuringCrashed: the process was killed.
        HearthError: what prevents the report.
    """
    return _ask(job, Reported, progress, cancelled).result


def evaluate_model(
    models: ModelRegistry,
    engine: EngineSection,
    name: str,
    text: str,
    *,
    reference: str | None = None,
    threads: int = 0,
    progress: Callable[[QualityProgress], None] = lambda _at: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Evaluation:
    """Measure a model by its name or alias on this text, in another process; both are in memory with a reference.

    Args:
        threads: 0 leaves them to the settings.
        progress, cancelled: as in `measure_quality`.

    Raises:
        InputInvalid: the text is too short.
        ReferenceUnfit: its vocabulary is another one.
        MeasuringCancelled, MeasuringCrashed: as in `measure_quality`.
        HearthError: there is no such model, or it cannot be used.
    """
    options = engine_options(engine, read_machine())
    entry = models.get(name)
    other = None if reference is None else models.get(reference)
    for model in (entry, other):
        if model is not None and model.format != GENAI:
            reason = tr("quality is measured of models in the onnxruntime-genai format alone")
            raise ModelUnsupported(name=model.name, reason=reason)
    job = EvaluationJob(
        name=entry.name,
        folder=str(entry.path),
        text=text,
        options=with_threads(options, threads) if threads else options,
        language=language(),
        reference=None if other is None else (other.name, str(other.path)),
    )
    return _ask(job, Evaluated, progress, cancelled).result


def _ask(
    job: QualityJob | EvaluationJob,
    answer: type[_Answer],
    progress: Callable[[QualityProgress], None],
    cancelled: Callable[[], bool],
) -> _Answer:
    command = own_command("hearth.services.quality_process", "--measure-quality")
    with ChildProcess[Any](command, job, QualityProgress | answer, log_file()) as process:
        for message in process.messages():
            if isinstance(message, answer):
                return message
            progress(message)
            if cancelled():
                raise MeasuringCancelled(name=job.name)
        raise MeasuringCrashed(name=job.name, reason=str(process.exit_code()))


def serve() -> int:
    """Do the job on standard input; the exit code."""
    be_modest(_NICENESS)
    log_to_stderr()
    caller = Caller()
    job: QualityJob | EvaluationJob = caller.job(QualityJob | EvaluationJob)
    use_language(job.language)
    caller.end_with_it()
    return caller.answer(lambda: caller.tell(_done(job, caller)))


def _done(job: QualityJob | EvaluationJob, caller: Caller) -> Reported | Evaluated:
    from hearth.quantize.checkpoint.checkpoint import Checkpoint
    from hearth.services.quality import built_in_text, evaluate, report_quality

    told = 0.0

    def advance(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_SECONDS:
            told = now
            caller.tell(QualityProgress(done=done, total=total))

    try:
        if isinstance(job, EvaluationJob):
            return Evaluated(evaluate(job, advance))
        report = report_quality(
            Checkpoint.open(Path(job.source)),
            Path(job.folder),
            job.recipe,
            job.options,
            text=job.text or built_in_text(),
            build_seconds=job.build_seconds,
            advance=advance,
        )
        return Reported(report)
    except OSError as error:
        raise writing_failed(Path(job.folder), error) from error


def main() -> int:
    """What starts the process calls this; the exit code."""
    code = serve()
    os._exit(code)  # the thread that waits for the caller's end would not let go


if __name__ == "__main__":
    main()
