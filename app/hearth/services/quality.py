"""How good a model is on a text: by itself, beside another model, or beside the checkpoint that it was made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hearth.engine.host.protocol import EngineOptions
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import InputInvalid, ModelNotFinite, ModelRunFailed, ReferenceUnfit
from hearth.i18n import tr
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.quality import Evaluation, QualityReport
from hearth.paths import resource
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.quality.agreement import NotFinite
from hearth.quantize.quality.evaluator import BATCH_ROWS, Evaluator
from hearth.quantize.quality.windows import WINDOW, cut_windows, steps
from hearth.quantize.recipe import Recipe

if TYPE_CHECKING:
    from hearth.engine.scoring import RunnerScorer
    from hearth.quantize.quality.report import Advance
    from hearth.services.quality_job import EvaluationJob

# Of the text of a report, which is measured again for every recipe that somebody tries.
REPORT_TOKENS = 4096
# Keys and values of a few windows; what is not used is not taken.
_KV_CACHE_BYTES = 4 << 30


def built_in_text() -> str:
    """The text that quality is measured on where no other is given. No recipe may be tuned on it."""
    return resource("quality", "evaluation.txt").read_text("utf-8")


def report_quality(
    checkpoint: Checkpoint,
    folder: Path,
    recipe: Recipe,
    options: EngineOptions,
    *,
    text: str,
    build_seconds: float,
    advance: Advance,
) -> QualityReport:
    """Measure the model in `folder`, which was built of this checkpoint by this recipe.

    Loads ONNX Runtime: not in the window's process.

    Args:
        options: how models are run here.
        text: of it the first 4,096 tokens count.
        build_seconds: that it took to make the model.
        advance: told how much is done, of how much; what it raises ends the report.

    Raises:
        InputInvalid: the text is too short.
        ModelNotFinite: what the model or its checkpoint computes are no numbers.
        HearthError: the checkpoint or the model cannot be used.
    """
    from hearth.quantize.quality.report import quality_report

    model = ModelFolder.open(folder)
    windows = _windows(model, text, min(WINDOW, model.config.model.context_length), REPORT_TOKENS)
    try:
        return quality_report(
            checkpoint,
            folder,
            recipe,
            windows,
            lambda: _open_scorer(model, folder.name, options),
            text=_digest(text),
            threads=options.threads,
            build_seconds=build_seconds,
            advance=advance,
        )
    except NotFinite as error:
        raise ModelNotFinite from error


def evaluate(job: EvaluationJob, advance: Callable[[int, int], None]) -> Evaluation:
    """Measure a model on a text, beside its reference where it has one.

    Loads ONNX Runtime: not in the window's process.

    Args:
        advance: told how many tokens are done, of how many; what it raises ends the evaluation.

    Raises:
        InputInvalid: the text is too short.
        ReferenceUnfit: its vocabulary is another one.
        HearthError: a model cannot be used.
    """
    started = time.perf_counter()
    folder = ModelFolder.open(Path(job.folder))
    scorer = _open_scorer(folder, job.name, job.options)
    length, beside, beside_name = min(WINDOW, scorer.context_length), None, ""
    if job.reference is not None:
        beside_name, path = job.reference
        beside = _open_reference(ModelFolder.open(Path(path)), beside_name, job.options, folder, scorer)
        length = min(length, beside.context_length)
    windows = _windows(folder, job.text, length)
    try:
        measured = Evaluator(scorer, beside, windows, advance).run()
    except NotFinite as error:
        raise ModelRunFailed(name=job.name, reason=tr("its logits are not numbers")) from error
    return Evaluation(
        text=_digest(job.text),
        tokens=sum(map(len, windows)),
        window=length,
        reference=beside_name,
        seconds=time.perf_counter() - started,
        measured=measured,
    )


def _windows(folder: ModelFolder, text: str, length: int, most: int | None = None) -> list[tuple[int, ...]]:
    tokenizer = Tokenizer(folder)
    windows = cut_windows(tokenizer.encode(text)[:most], tokenizer.bos_token_id, length)
    if not windows:
        raise InputInvalid(reason=tr("the text is too short to measure anything"))
    return windows


def _open_scorer(folder: ModelFolder, name: str, options: EngineOptions) -> RunnerScorer:
    from hearth.engine.device_choice import open_model
    from hearth.engine.scoring import RunnerScorer

    # With the model's own keys and values, whatever the settings say.
    options = msgspec.structs.replace(
        options,
        max_slots=BATCH_ROWS,
        max_context=WINDOW,
        kv_cache_bytes=_KV_CACHE_BYTES,
        packed_bytes=0,
    )
    return RunnerScorer(open_model(folder, name, options, options.devices).runner, name, steps)


def _open_reference(
    folder: ModelFolder, name: str, options: EngineOptions, model: ModelFolder, scorer: RunnerScorer
) -> RunnerScorer:
    """The other model, once it is sure that both number the same tokens alike."""
    if Tokenizer(folder).vocabulary() == Tokenizer(model).vocabulary():
        reference = _open_scorer(folder, name, options)
        if reference.vocab_size == scorer.vocab_size:
            return reference
    raise ReferenceUnfit(name=name, model=scorer.name, reason=tr("its vocabulary is another one"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
