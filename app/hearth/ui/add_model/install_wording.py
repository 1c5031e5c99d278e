"""How far a model on its way is, in the words of a person."""

from __future__ import annotations

from hearth.i18n import mark, tr
from hearth.services.install_events import InstallState, InstallStatus, InstallStep
from hearth.ui.wording import size_text, time_left_text

STEPS = {
    InstallStep.DOWNLOAD: mark("Download"),
    InstallStep.QUANTIZE: mark("Compress (quantize)"),
    InstallStep.REPORT: mark("Measure quality"),
    InstallStep.CHECK: mark("Check"),
}
_DOING = {
    InstallStep.DOWNLOAD: mark("Downloading"),
    InstallStep.QUANTIZE: mark("Compressing"),
    InstallStep.REPORT: mark("Measuring quality"),
    InstallStep.CHECK: mark("Checking"),
}
_STATES = {
    InstallState.QUEUED: mark("Waiting for its turn"),
    InstallState.PAUSED: mark("Paused"),
    InstallState.FAILED: mark("Stopped by a problem"),
}


def state_text(status: InstallStatus) -> str:
    """What happens to it: the step that runs, or why none does."""
    if status.state is InstallState.RUNNING:
        return tr(_DOING[status.step])
    return tr(_STATES[status.state])


def percent(status: InstallStatus) -> int:
    """Of the step."""
    return min(100, round(100 * status.done / status.total)) if status.total else 0


def short_text(status: InstallStatus) -> str:
    """State, percent and time left, in one line."""
    parts = [state_text(status)]
    if status.total and status.state is not InstallState.FAILED:
        parts.append(tr("{percent} %", percent=percent(status)))
    if status.seconds_left is not None and status.state is InstallState.RUNNING:
        parts.append(time_left_text(status.seconds_left))
    return " · ".join(parts)


def step_text(status: InstallStatus) -> str:
    """How far the step is: bytes and their rate where it fetches, else percent; and the time left."""
    parts = []
    if status.step is InstallStep.DOWNLOAD:
        parts.append(tr("{done} of {total}", done=size_text(status.done), total=size_text(status.total)))
        if status.bytes_per_second:
            parts.append(tr("{size} a second", size=size_text(round(status.bytes_per_second))))
    elif status.total:
        parts.append(tr("{percent} %", percent=percent(status)))
    if status.seconds_left is not None and status.state is InstallState.RUNNING:
        parts.append(time_left_text(status.seconds_left))
    return " · ".join(parts)
