"""The devices that were chosen for models on this machine, kept in a file. No ONNX Runtime in here."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from hearth.engine.providers.trial import AUTO, Trial
from hearth.errors import ModelFileInvalid
from hearth.model_folder.json_file import read_json, write_json

log = logging.getLogger(__name__)

_FORMAT = 1
_MAX_BYTES = 4 << 20
# Models come and go; what was measured for the oldest is forgotten.
_MOST = 200


class DeviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a host shall choose the device of its model.

    Attributes:
        device: `auto`, or the id of the provider that the owner wants.
        threads_are_set: the owner wants the number of threads that `EngineOptions` has, and no other.
        machine: what a choice depends on: processor, cores, instruction sets.
        file: where choices are remembered.
        measure: measure anew, and also where there is nothing to choose.
    """

    machine: str
    file: str
    device: str = AUTO
    threads_are_set: bool = False
    measure: bool = False


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured for one model on one machine.

    Attributes:
        model: its digest.
        name: of the model, when it was measured; for people.
        runtime: versions of ONNX Runtime and of the providers that could be used.
    """

    model: str
    name: str
    machine: str
    runtime: str
    trials: tuple[Trial, ...]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    choices: tuple[Remembered, ...]


def read_choices(file: Path) -> tuple[Remembered, ...]:
    """All that is remembered; nothing where the file is not there, damaged or of another format."""
    if not file.exists():
        return ()
    try:
        found = read_json(file, _File, _MAX_BYTES)
    except ModelFileInvalid as error:
        log.warning("Devices are measured anew: %s", error.what_text())
        return ()
    return found.choices if found.format == _FORMAT else ()


def find_choice(file: Path, *, model: str, machine: str, runtime: str) -> Remembered | None:
    """What is remembered of this model, machine and runtime."""
    wanted = (model, machine, runtime)
    return next(
        (known for known in read_choices(file) if (known.model, known.machine, known.runtime) == wanted), None
    )


def remember(file: Path, choice: Remembered) -> None:
    """Put it in the place of what was remembered of its model and machine, with what was not measured again.

    Two hosts that write at the same moment may lose one of the two, which is then measured again.
    """
    others, kept = [], dict[tuple[str, int], Trial]()
    for known in read_choices(file):
        if (known.model, known.machine) != (choice.model, choice.machine):
            others.append(known)
        elif known.runtime == choice.runtime:
            kept = {(trial.provider, trial.threads): trial for trial in known.trials}
    kept |= {(trial.provider, trial.threads): trial for trial in choice.trials}
    choice = msgspec.structs.replace(choice, trials=tuple(kept.values()))
    _write(file, _File(format=_FORMAT, choices=(*others[1 - _MOST :], choice)))


def _write(file: Path, content: _File) -> None:
    try:
        write_json(file, content)
    except OSError as error:  # measured again at the next load, which is a pity and no more
        log.warning("%s cannot be written: %s", file, error)
