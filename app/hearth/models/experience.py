"""What this machine has shown of itself and of the models that ran on it, kept in a file: estimates learn from it."""

from __future__ import annotations

import logging
from pathlib import Path
from statistics import median

import msgspec

from hearth.errors import ModelFileInvalid
from hearth.model_folder.json_file import read_json, write_json
from hearth.model_folder.manifest import GENAI
from hearth.models.fit import Correction
from hearth.models.speeds import Speeds

log = logging.getLogger(__name__)

_FORMAT = 3
_MAX_BYTES = 1 << 20
# Models come and go; what the oldest have shown is forgotten.
_MOST = 200
# A measurement beyond these was of something else: a machine that slept, or a host that swapped.
_LEAST_FACTOR, _MOST_FACTOR = 0.1, 10.0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One model beside its estimate without any correction.

    Attributes:
        model: its digest.
        name: of the model, for people.
        format: of its files, since each has an engine of its own.
        write, read: measured speeds as factors on the expected ones; 0 where they were not measured.
        working_bytes: by how much it took more memory than expected.
    """

    model: str
    name: str
    format: str = GENAI
    write: float = 0.0
    read: float = 0.0
    working_bytes: int = 0


class Experience(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured on one machine; nothing of it counts on another one.

    Attributes:
        machine: processor, cores and instruction sets.
        measured: its speeds, each time that they were measured.
    """

    format: int = _FORMAT
    machine: str = ""
    measured: tuple[Speeds, ...] = ()
    models: tuple[Shown, ...] = ()

    def correction(self, model: str = "", form: str = GENAI) -> Correction:
        """What this model has shown; for one that has not run yet, what others in its format have in the mean.

        Until one in its format has run, it is expected to be as fast as those in others.
        """
        own = [shown for shown in self.models if shown.model == model]
        alike = own or [shown for shown in self.models if shown.format == form]
        return Correction(
            write=_middle([shown.write for shown in alike or self.models]),
            read=_middle([shown.read for shown in alike or self.models]),
            working_bytes=round(median([shown.working_bytes for shown in alike] or [0])),
        )

    def knows(self, form: str) -> bool:
        """Whether a model in this format has shown here how fast it writes."""
        return any(
            shown.format == form and _LEAST_FACTOR <= shown.write <= _MOST_FACTOR for shown in self.models
        )

    @property
    def speeds(self) -> Speeds:
        """Of this machine, as far as it is known."""
        return Speeds.middle(self.measured)

    def with_speeds(self, speeds: Speeds) -> Experience:
        """The same after another measurement of the machine; what models have shown stays as fast as it was."""
        old, new = self.speeds, Speeds.middle((*self.measured, speeds))
        models = tuple(
            msgspec.structs.replace(
                shown,
                write=shown.write * _ratio(old.token_rate, new.token_rate),
                read=shown.read * _ratio(old.prompt_rate, new.prompt_rate),
            )
            for shown in self.models
        )
        return msgspec.structs.replace(self, measured=(*self.measured, speeds), models=models)

    def with_shown(self, shown: Shown) -> Experience:
        """The same with this model's new figures in the place of its old ones."""
        others = [known for known in self.models if known.model != shown.model]
        return msgspec.structs.replace(self, models=(*others[1 - _MOST :], shown))


def read_experience(file: Path, machine: str) -> Experience:
    """What is kept of this machine; nothing where the file is not there, damaged, of an older format, or another machine's."""
    if file.exists():
        try:
            found = read_json(file, Experience, _MAX_BYTES)
        except ModelFileInvalid as error:
            log.warning("This machine is measured anew: %s", error.what_text())
        else:
            if (found.format, found.machine) == (_FORMAT, machine):
                return found
    return Experience(machine=machine)


def write_experience(file: Path, experience: Experience) -> None:
    """Keep it. Where that fails, the machine is measured again another time, which is a pity and no more."""
    try:
        write_json(file, experience)
    except OSError as error:
        log.warning("%s cannot be written: %s", file, error)


def _ratio(old: float, new: float) -> float:
    return old / new if old and new else 1.0


def _middle(factors: list[float]) -> float:
    return median([factor for factor in factors if _LEAST_FACTOR <= factor <= _MOST_FACTOR] or [1.0])
