"""The way of one download from the hub into the list of models, or among the checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hearth.model_folder.manifest import VERSION, Manifest
from hearth.models.copying import CancelledCallback
from hearth.models.hub.checkpoints import CheckpointEntry, Checkpoints
from hearth.models.hub.choices import Format
from hearth.models.hub.download_folder import DownloadFolder
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.shared_files import shared_files
from hearth.models.registry import ModelEntry, ModelRegistry

if TYPE_CHECKING:
    from hearth.models.hub.fetch import FetchProgress


def arrived(models: ModelRegistry, job: DownloadJob) -> ModelEntry | CheckpointEntry | None:
    """What the download has become already, before somebody was killed or asked again.

    Raises:
        DiskFull, HomeUnwritable: it cannot be noted that a checkpoint shall stay.
    """
    entry: ModelEntry | CheckpointEntry | None
    if job.format is Format.CHECKPOINT:
        entry = Checkpoints(models.root).get(job.repository)
    else:
        entry = next((entry for entry in models.list() if entry.name == job.name), None)
    if entry is None or (entry.manifest.source, entry.manifest.revision) != (job.source, job.commit):
        return None
    paths = {job.choice.local_path(file) for file in job.choice.files}
    if paths != entry.manifest.files.keys():
        return None
    if isinstance(entry, CheckpointEntry) and not job.passing:
        return Checkpoints(models.root).keep(entry)
    return entry


def bring(
    models: ModelRegistry,
    folder: DownloadFolder,
    job: DownloadJob,
    tell: Callable[[FetchProgress], None],
    cancelled: CancelledCallback,
) -> ModelEntry | CheckpointEntry:
    """Fetch what is missing, and give the whole its place. The folder is to be held.

    Args:
        tell: called several times a second, on this thread.
        cancelled: asked as often; True stops.

    Raises:
        HearthError: whatever `Fetch.run`, `Checkpoints.add` and `ModelRegistry.add_fetched` raise.
    """
    # Its libraries take a while to come, and no start needs them.
    from hearth.models.hub.client import HubClient
    from hearth.models.hub.fetch import Fetch
    from hearth.models.hub.token import read_token

    checkpoints = Checkpoints(models.root)
    shared = shared_files([*models.folders(), *(entry.path for entry in checkpoints.list())])
    files = Fetch(HubClient(read_token()), job, folder, shared).run(tell, cancelled)
    manifest = Manifest(
        version=VERSION,
        name=job.name,
        format=job.format.value,
        source=job.source,
        revision=job.commit,
        licence=job.licence,
        imported_at=datetime.now(UTC),
        files=files,
        passing=job.passing,
        settings=job.settings.sound(),
    )
    if job.format is Format.CHECKPOINT:
        return checkpoints.add(folder.files, manifest)
    return models.add_fetched(folder.files, manifest)
