"""The folder of one download: what is to be fetched, what is there of it, and a lock. It outlives its process.

`download.json` is the job, `files/` has whole files only, each compared with its checksum, and `partial/` the rest.
"""

from __future__ import annotations

import builtins
import hashlib
import logging
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from hearth.errors import DownloadBusy, DownloadNotFound, HearthError, ModelFileInvalid, writing_failed
from hearth.i18n import tr
from hearth.model_folder.held_folder import FolderHeld, held_folder, is_held, remove_left_lock
from hearth.model_folder.json_file import read_json
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.note_file import restore_note, write_note
from hearth.models.hub.partial_file import PartialFile
from hearth.models.hub.repository import RemoteFile
from hearth.models.names import clean_name

log = logging.getLogger(__name__)

_JOB, _MAX_BYTES = "download.json", 16 << 20
# A process that was killed is gone a moment later.
_PATIENCE_SECONDS = 2.0


class DownloadFolder:
    """Of one choice of one repository.

    Attributes:
        files: where the whole files lie.
        partial: where those on their way lie.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / "files"
        self.partial = path / "partial"

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def has_job(self) -> bool:
        """Whether something is to be fetched into it."""
        return (self.path / _JOB).exists()

    def read(self) -> DownloadJob:
        """Raises ModelFileInvalid where there is no job, or one that Hearth has not written: the folder may be anybody's."""
        job = read_json(self.path / _JOB, DownloadJob, _MAX_BYTES)
        if not job.is_sound():
            raise ModelFileInvalid(file=str(self.path / _JOB), reason=tr("it is no download of Hearth"))
        return job

    def write(self, job: DownloadJob) -> None:
        """Note the job, whole or not at all.

        Raises:
            DiskFull, HomeUnwritable: it cannot be written.
        """
        try:
            write_note(self.path / _JOB, job)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    @property
    def is_damaged(self) -> bool:
        """Whether there is a job that cannot be read."""
        try:
            self.read()
        except HearthError:
            return self.has_job
        return False

    def restore(self) -> None:
        """Go back to the copy of a damaged job, if there is one; the folder is to be held.

        Raises:
            HomeUnwritable: it cannot be moved.
        """
        try:
            restore_note(self.path / _JOB)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else fetches or deletes it meanwhile.

        Raises:
            DownloadBusy: somebody does.
            DiskFull, HomeUnwritable: the folder cannot be made.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(held_folder(self.path, _PATIENCE_SECONDS))
            except FolderHeld:
                raise DownloadBusy(name=self._name()) from None
            except OSError as error:
                raise writing_failed(self.path, error) from error
            yield

    def _name(self) -> str:
        try:
            return self.read().name
        except HearthError:
            return self.id

    def is_held(self) -> bool:
        """Whether somebody fetches it at this moment."""
        return is_held(self.path)

    def bytes_done(self, job: DownloadJob) -> int:
        """What is there of it, as far as the disk tells. Reads no file's content but the notes."""
        return sum(self._bytes_of(job, file) for file in job.choice.files)

    def keep_only(self, job: DownloadJob) -> None:
        """Delete what was fetched for another commit and is not the same in this one; the folder is to be held.

        Raises:
            HomeUnwritable: it cannot be deleted.
        """
        wanted = _oids(job)
        try:
            there = _oids(self.read())
        except HearthError:  # nobody knows what it is
            there = {}
        try:
            for path in _files(self.files):
                name = path.relative_to(self.files).as_posix()
                if name not in wanted or there.get(name) != wanted[name]:
                    path.unlink()
            for path in _files(self.partial):
                if path.stem not in wanted.values():
                    path.unlink()
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def delete(self) -> None:
        """Delete what is there; the folder is to be held, and an empty one stays.

        Raises:
            HomeUnwritable: it cannot be deleted.
        """
        try:
            (self.path / _JOB).unlink(missing_ok=True)
            for folder in (self.files, self.partial):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def _bytes_of(self, job: DownloadJob, file: RemoteFile) -> int:
        if (self.files / job.choice.local_path(file)).exists():
            return file.bytes
        return PartialFile.bytes_noted(self.partial, file)


class DownloadFolders:
    """All downloads of one models folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def of(self, repository: str, choice: str) -> DownloadFolder:
        """The folder for this choice of this repository; it need not be there."""
        digest = hashlib.sha256(f"{repository}\n{choice}".encode()).hexdigest()[:12]
        return DownloadFolder(self.root / f"{clean_name(repository)[:40]}-{digest}")

    def get(self, download: str) -> DownloadFolder:
        """The folder of the download with this id. Raises DownloadNotFound."""
        for path in _folders(self.root):
            if path.name == download and (folder := DownloadFolder(path)).has_job:
                return folder
        raise DownloadNotFound(name=download)

    def damaged(self) -> builtins.list[DownloadFolder]:
        """The downloads whose job cannot be read."""
        return [folder for path in _folders(self.root) if (folder := DownloadFolder(path)).is_damaged]

    def remove(self, folder: DownloadFolder) -> None:
        """Delete one with all that is there.

        Raises:
            DownloadBusy: somebody fetches it.
            HomeUnwritable: it cannot be deleted.
        """
        if folder.path.exists():
            with folder.held():
                folder.delete()
        self.tidy(folder)

    def tidy(self, folder: DownloadFolder) -> None:
        """Remove what is left of a folder that was deleted, and this one where there are no others.

        One that somebody holds by now stays: a job may be about to be written into it.
        """
        if folder.path.exists():
            with suppress(FolderHeld, OSError), held_folder(folder.path):
                if not folder.has_job:
                    shutil.rmtree(folder.path, ignore_errors=True)
            remove_left_lock(folder.path)
        with suppress(OSError):  # there are others
            self.root.rmdir()

    def list(self) -> list[tuple[DownloadFolder, DownloadJob]]:
        """Every download, the oldest first; a damaged one is left out, and taken over when it is begun again."""
        found = []
        for path in _folders(self.root):
            folder = DownloadFolder(path)
            try:
                found.append((folder, folder.read()))
            except HearthError as error:
                log.info("%s is no download: %s", path, error)
        return sorted(found, key=lambda pair: (pair[1].added_at, pair[0].id))


def _oids(job: DownloadJob) -> dict[str, str]:
    return {job.choice.local_path(file): file.oid for file in job.choice.files}


def _folders(root: Path) -> list[Path]:
    try:
        return [path for path in root.iterdir() if path.is_dir()]
    except OSError:  # there is none yet
        return []


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
