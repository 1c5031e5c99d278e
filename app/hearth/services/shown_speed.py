"""What a model has shown on this machine, put beside its estimate and kept, so that later estimates learn from it."""

from __future__ import annotations

from dataclasses import dataclass

from hearth.engine.host.protocol import ModelInfo
from hearth.engine.outputs import LEAST_WRITTEN
from hearth.model_folder.digest import files_digest, model_digest
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.gguf_file import read_gguf
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.entry import ModelEntry
from hearth.models.experience import Shown, write_experience
from hearth.models.fit import Correction
from hearth.models.source import model_file
from hearth.services.model_fit import Fits, experience_file

_PROCESSOR = "CPUExecutionProvider"
# Shorter prompts are over before their speed shows.
_LEAST_READ = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one answer cost that had the model for itself; 0 where that was not measured.

    Attributes:
        context: tokens at its end.
        written, write_speed: tokens, and tokens a second.
        read, read_speed: of the prompt, without what was read before.
        memory: private bytes of the host.
    """

    context: int
    written: int
    write_speed: float
    read: int = 0
    read_speed: float = 0.0
    memory: int = 0


def keep_shown(fits: Fits, entry: ModelEntry, info: ModelInfo, measured: Measured) -> Shown | None:
    """Compare, and keep what comes of it in `fits.experience`'s file; None where nothing can be learnt.

    That is where this machine's own speed was never measured, where the answer was too short, where the estimate is for
    another device, and where there is none for the model.

    Raises:
        HearthError, OSError: the model's files cannot be read any more.
    """
    is_of_estimate = entry.format == GGUF or (entry.format == GENAI and info.provider == _PROCESSOR)
    if not fits.spec.speeds.bandwidth or not is_of_estimate or measured.written < LEAST_WRITTEN:
        return None
    fit = fits.of_entry(entry)
    fit = fit.corrected(Correction(), is_packed=fit.is_packed and info.is_packed)
    expected = fit.at(measured.context)
    read_factor = 0.0
    if measured.read >= _LEAST_READ and expected.read_speed:
        read_factor = measured.read_speed / expected.read_speed
    # What llama.cpp copies of its file differs from one type of weights to the next.
    is_private_known = measured.memory and entry.format == GENAI
    shown = Shown(
        model=_digest(entry),
        name=entry.name,
        format=entry.format,
        write=measured.write_speed / expected.write_speed if expected.write_speed else 0.0,
        read=read_factor,
        working_bytes=measured.memory - expected.memory.private if is_private_known else 0,
    )
    write_experience(experience_file(), fits.experience.with_shown(shown))
    return shown


def _digest(entry: ModelEntry) -> str:
    if entry.format == GGUF:
        return files_digest(read_gguf(model_file(entry.path, entry.manifest)).parts)
    return model_digest(ModelFolder.open(entry.path, [entry.path] if entry.in_place else []))
