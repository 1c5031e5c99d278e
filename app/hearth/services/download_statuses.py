"""What is told of a download, from what lies on the disk."""

from __future__ import annotations

from hearth.errors import InstallDamaged
from hearth.models.hub.choices import Format
from hearth.models.hub.download_folder import DownloadFolder
from hearth.models.hub.download_job import DownloadJob, Wanted
from hearth.services.download_events import DownloadState, DownloadStatus

_STATES = {
    Wanted.FETCHED: DownloadState.QUEUED,
    Wanted.PAUSED: DownloadState.PAUSED,
    Wanted.FAILED: DownloadState.FAILED,
}


def download_status(
    folder: DownloadFolder, job: DownloadJob, state: DownloadState | None = None, done: int | None = None
) -> DownloadStatus:
    """Where it stands.

    Args:
        state: where it is another than the job says: it runs.
        done: in bytes; None where that is to be read from the disk.
    """
    return DownloadStatus(
        id=folder.id,
        repository=job.repository,
        choice=job.choice.name,
        format=job.format,
        name=job.name,
        state=state or _STATES[job.wanted],
        done=folder.bytes_done(job) if done is None else done,
        total=job.choice.bytes,
        error=None if job.failure is None else job.failure.error,
    )


def damaged_download(folder: DownloadFolder) -> DownloadStatus:
    """One of which nobody knows what it is, but that it can be restored or cancelled.

    Its copy, where there is one, tells where it comes from.
    """
    copy = folder.read_copy()
    return DownloadStatus(
        id=folder.id,
        repository="" if copy is None else copy.repository,
        choice="",
        format=Format.CHECKPOINT,
        name=folder.id,
        state=DownloadState.FAILED,
        done=0,
        total=0,
        error=InstallDamaged(name=folder.id),
    )
