"""The memory that loaded models take, and how much of it they may have together."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from hearth.engine.host.protocol import EngineOptions
from hearth.errors import HearthError
from hearth.hardware.machine import Machine, read_machine
from hearth.models.entry import ModelEntry

log = logging.getLogger(__name__)

MB = 1 << 20
# Where there is no estimate: interpreter and libraries, and what reading a prompt takes beside the weights.
_HOST_BYTES = 200 * MB
# The conversation that is reckoned with where the settings name no longest one. Memory for it is taken as it grows, and
# few grow as long as a model could hold.
_CONTEXT = 4096
# A header is read for half a second, and a list of models is shown often.
_MOST_KNOWN = 256
_known: dict[tuple[Path, int, int, EngineOptions], int] = {}


def limit_bytes(setting_mb: int, machine: Machine) -> int:
    """Memory for all loaded models together: what the settings file says, or three quarters of the machine's."""
    return setting_mb * MB or machine.memory_bytes * 3 // 4


def expected_bytes(entries: Iterable[ModelEntry], options: EngineOptions) -> int:
    """What a host is going to take that loads these models, a model and the one that guesses for it.

    By the estimate of `models/fit.py`, with weights that lie in a file's pages; by the size of its files for a model that
    has none. Reads small files, and measures nothing.
    """
    return sum(_expected_bytes(entry, options) for entry in entries)


def _expected_bytes(entry: ModelEntry, options: EngineOptions) -> int:
    # Imported here, since no start needs it.
    from hearth.services.model_fit import Fits, experience_file, read_machine_experience

    try:
        key = (entry.file, _modified(entry.file), _modified(experience_file()), options)
        known = _known.get(key)
        if known is None:
            machine = read_machine()
            experience = read_machine_experience(machine, measured=False)
            fit = Fits.of_options(options, machine, experience).of_entry(entry)
            room = int(options.kv_cache_bytes // fit.kv_bytes_per_token)
            context = max(1, min(options.max_context or _CONTEXT, fit.shape.context, room))
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            known = _known[key] = fit.memory(context).model
        return known
    except (HearthError, OSError) as error:
        log.debug("%s is estimated by the size of its files: %s", entry.name, error)
        return _HOST_BYTES + entry.bytes * 11 // 10


def _modified(path: Path) -> int:
    """When it last was, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
