"""What is told of an install: from the note that wants it, its download, and how far quantizing is."""

from __future__ import annotations

import time
from dataclasses import replace

from hearth.errors import InstallDamaged
from hearth.models.hub.choices import Format
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.install_folder import InstallFolder, InstallNote, Wanted
from hearth.models.hub.rate import Rate
from hearth.services.download_events import DownloadStatus
from hearth.services.install_events import InstallState, InstallStatus, InstallStep
from hearth.services.quantizing import QuantizeProgress, Stage

_TELL_SECONDS = 0.1
_MADE_IN = (InstallStep.QUANTIZE, InstallStep.REPORT, InstallStep.CHECK)
_STEPS = {
    Stage.BUILDING: InstallStep.QUANTIZE,
    Stage.MEASURING: InstallStep.REPORT,
    Stage.CHECKING: InstallStep.CHECK,
}
_STATES = {
    Wanted.MADE: InstallState.QUEUED,
    Wanted.PAUSED: InstallState.PAUSED,
    Wanted.FAILED: InstallState.FAILED,
    Wanted.REMOVED: InstallState.PAUSED,
}


def only_fetched(download: DownloadStatus) -> InstallStatus:
    """An install that is a download and no more."""
    return InstallStatus(
        id=download.id,
        repository=download.repository,
        choice=download.choice,
        format=download.format,
        name=download.name,
        recipe="",
        steps=(InstallStep.DOWNLOAD,),
        step=InstallStep.DOWNLOAD,
        state=InstallState(download.state.value),
        done=download.done,
        total=download.total,
        bytes_per_second=download.bytes_per_second,
        seconds_left=download.seconds_left,
        error=download.error,
        elsewhere=download.elsewhere,
    )


def fetched_first(folder: InstallFolder, note: InstallNote, download: DownloadStatus) -> InstallStatus:
    """An install whose checkpoint is on its way."""
    return replace(
        only_fetched(download),
        id=folder.id,
        repository=note.repository,
        choice=note.repository,
        name=note.name,
        recipe=note.recipe,
        steps=_steps(fetches=True),
    )


def damaged_install(folder: InstallFolder) -> InstallStatus:
    """One of which nobody knows what it is, but that it can be restored or cancelled."""
    return InstallStatus(
        id=folder.id,
        repository="",
        choice="",
        format=Format.CHECKPOINT,
        name=folder.path.name,
        recipe="",
        steps=_MADE_IN,
        step=InstallStep.QUANTIZE,
        state=InstallState.FAILED,
        error=InstallDamaged(name=folder.path.name),
    )


def made(folder: InstallFolder, note: InstallNote) -> InstallStatus:
    """An install that is past its download, as it was last stopped, or waits for its turn."""
    return InstallStatus(
        id=folder.id,
        repository=note.repository or note.source,
        choice=note.repository,
        format=Format.CHECKPOINT,
        name=note.name,
        recipe=note.recipe,
        steps=_steps(fetches=note.fetch is not None),
        step=InstallStep.QUANTIZE,
        state=_STATES[note.wanted],
        done=note.done,
        total=note.total,
        error=None if note.failure is None else note.failure.error,
    )


def not_begun(folder: InstallFolder, note: InstallNote, fetch: DownloadJob) -> InstallStatus:
    """An install whose download is still to be noted."""
    return replace(made(folder, note), step=InstallStep.DOWNLOAD, done=0, total=fetch.choice.bytes)


def _steps(*, fetches: bool) -> tuple[InstallStep, ...]:
    return (InstallStep.DOWNLOAD, *_MADE_IN) if fetches else _MADE_IN


class Making:
    """An install while it is quantized.

    Attributes:
        status: as it is now.
        quantized: how much of the step QUANTIZE is done, and how much there is.
    """

    def __init__(self, status: InstallStatus) -> None:
        self.status = status
        self.quantized = status.done, status.total
        self._rate = Rate()
        self._told = 0.0

    def advance(self, at: QuantizeProgress) -> bool:
        """It has come so far; whether that should be told."""
        step, before = _STEPS[at.stage], self.status
        is_new = (step, at.total) != (before.step, before.total) or at.done < before.done
        if is_new:
            self._rate = Rate()
        self._rate.add(at.done)
        left = self._rate.seconds_left(at.total) if at.seconds_left is None else at.seconds_left
        self.status = replace(before, step=step, done=at.done, total=at.total, seconds_left=left)
        if step is InstallStep.QUANTIZE:
            self.quantized = at.done, at.total
        else:
            total = max(1, self.quantized[1])  # a small model is built before anything is told of it
            self.quantized = total, total
        now = time.monotonic()
        if not is_new and at.done < at.total and now - self._told < _TELL_SECONDS:
            return False
        self._told = now
        return True
