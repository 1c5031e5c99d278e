"""The folder of one download: what is to be fetched, what is there of it, and a lock. It outlives its process.

`download.json` is the job, `files/` has whole files only, each compared with its checksum, and `partial/` the rest.
"""

from __future__ import annotations

import builtins
import hashlib
import logging
import shutil
from contextlib import suppress
from pathlib import Path

from hearth.errors import DownloadBusy, DownloadNotFound, HearthError, ModelFileInvalid, writing_failed
from hearth.i18n import tr
from hearth.model_folder.json_file import read_json
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.note_file import copy_of
from hearth.models.hub.note_folder import NoteFolder, NoteFolders
from hearth.models.hub.partial_file import PartialFile
from hearth.models.hub.repository import RemoteFile
from hearth.models.names import clean_name

log = logging.getLogger(__name__)

_MAX_BYTES = 16 << 20
_DIGEST_LENGTH = 12


class DownloadFolder(NoteFolder[DownloadJob]):
    """Of one choice of one repository; its note is the job.

    Attributes:
        files: where the whole files lie.
        partial: where those on their way lie.
    """

    note_name = "download.json"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.files = path / "files"
        self.partial = path / "partial"

    @property
    def id(self) -> str:
        return self.path.name

    def read(self) -> DownloadJob:
        return _read(self.note_file)

    def read_copy(self) -> DownloadJob | None:
        """What a damaged one was when it was last noted; None where its copy is gone or damaged too."""
        with suppress(HearthError):
            return _read(copy_of(self.note_file))
        return None

    def busy(self) -> DownloadBusy:
        try:
            return DownloadBusy(name=self.read().name)
        except HearthError:
            return DownloadBusy(name=self.id)

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
            self.note_file.unlink(missing_ok=True)
            for folder in (self.files, self.partial):
                if folder.exists():
                    shutil.rmtree(folder)
        except OSError as error:
            raise writing_failed(self.path, error) from error

    def _bytes_of(self, job: DownloadJob, file: RemoteFile) -> int:
        if (self.files / job.choice.local_path(file)).exists():
            return file.bytes
        return PartialFile.bytes_noted(self.partial, file)


class DownloadFolders(NoteFolders):
    """All downloads of one models folder."""

    def of(self, repository: str, choice: str) -> DownloadFolder:
        """The folder for this choice of this repository; it need not be there."""
        digest = hashlib.sha256(f"{repository}\n{choice}".encode()).hexdigest()[:_DIGEST_LENGTH]
        return DownloadFolder(self.root / f"{_start(repository)}{digest}")

    @staticmethod
    def may_be_of(download: str, repository: str) -> bool:
        """Whether the id fits a download of the repository, or of another one whose name begins alike.

        It is all that is known of a damaged one without a copy.
        """
        start = _start(repository)
        return download.startswith(start) and len(download) == len(start) + _DIGEST_LENGTH

    def get(self, download: str) -> DownloadFolder:
        """The folder of the download with this id. Raises DownloadNotFound."""
        for path in self.paths():
            if path.name == download and (folder := DownloadFolder(path)).has_note:
                return folder
        raise DownloadNotFound(name=download)

    def damaged(self) -> builtins.list[DownloadFolder]:
        """The downloads whose job cannot be read."""
        return [folder for path in self.paths() if (folder := DownloadFolder(path)).is_damaged]

    def remove(self, folder: DownloadFolder) -> None:
        """Delete one with all that is there.

        Raises:
            DownloadBusy: somebody fetches it.
            HomeUnwritable: it cannot be deleted.
        """
        if folder.path.exists():
            with self.held(folder):
                folder.delete()

    def list(self) -> list[tuple[DownloadFolder, DownloadJob]]:
        """Every download, the oldest first; a damaged one is left out, and taken over when it is begun again."""
        found = []
        for path in self.paths():
            folder = DownloadFolder(path)
            try:
                found.append((folder, folder.read()))
            except HearthError as error:
                log.info("%s is no download: %s", path, error)
        return sorted(found, key=lambda pair: (pair[1].added_at, pair[0].id))


def _start(repository: str) -> str:
    """How the names of all its folders begin."""
    return f"{clean_name(repository)[:40]}-"


def _read(file: Path) -> DownloadJob:
    job = read_json(file, DownloadJob, _MAX_BYTES)
    if not job.is_sound():
        raise ModelFileInvalid(file=str(file), reason=tr("it is no download of Hearth"))
    return job


def _oids(job: DownloadJob) -> dict[str, str]:
    return {job.choice.local_path(file): file.oid for file in job.choice.files}


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()] if folder.exists() else []
