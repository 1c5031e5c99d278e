"""The files of one download fetched: several pieces at a time, each tried again where the line breaks, all of them checked."""

from __future__ import annotations

import logging
import re
import shutil
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Thread

import httpx2

from hearth.errors import (
    DiskFull,
    DownloadRoom,
    DownloadStopped,
    FileNotAsListed,
    HearthError,
    HubFailed,
    writing_failed,
)
from hearth.i18n import tr
from hearth.model_folder.manifest import ManifestFile
from hearth.models.copying import SPARE_BYTES, CancelledCallback
from hearth.models.hub.client import HubClient
from hearth.models.hub.download_folder import DownloadFolder
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.partial_file import PartialFile, digest_of
from hearth.models.hub.rate import Rate
from hearth.models.hub.repository import RemoteFile
from hearth.models.hub.session import transport_errors
from hearth.models.hub.shared_files import link_or_copy, share

log = logging.getLogger(__name__)

CONNECTIONS = 4
PIECE_BYTES = 64 << 20
_TELL_SECONDS = 0.1
# Whoever still waits for an answer when all shall stop is left alone after that: it will find that it may not write.
_JOIN_SECONDS = 2.0
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a download is.

    Attributes:
        done, total: in bytes, with what was there before.
        bytes_per_second, seconds_left: None where that cannot be told yet.
    """

    done: int
    total: int
    bytes_per_second: float | None = None
    seconds_left: float | None = None


class _Stopped(Exception):
    """Somebody has stopped the whole, or another piece has failed for good."""


class _NoRanges(Exception):
    """The server sends the whole file, whatever part it is asked for."""


class _Wanted:
    """One content, which may have several places in the model."""

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.targets: list[str] = []
        self.partial: PartialFile | None = None  # while it is not whole
        self.pieces: deque[int] = deque()  # that nobody has begun
        self.whole = 0  # pieces
        self.running = 0  # threads
        self.ranges = False  # whether the server is known to send parts
        self.damaged = False  # once already

    def plan(self, partial: PartialFile) -> None:
        """Fetch what is missing of it."""
        self.pieces = deque(partial.missing())
        self.whole = len(partial.done) - len(self.pieces)


class Fetch:
    """One run; the folder is to be held meanwhile. What is there when it ends, however it ends, is kept."""

    def __init__(
        self,
        hub: HubClient,
        job: DownloadJob,
        folder: DownloadFolder,
        shared: Mapping[str, Path],
    ) -> None:
        """`shared`: files that are on this machine already, by SHA-256."""
        self._hub = hub
        self._job = job
        self._folder = folder
        self._place = folder.path.parent.parent  # as a person knows it
        self._shared = shared
        self._changed = Condition()  # guards what the threads share
        self._stop = Event()
        self._news = Event()
        self._working = 0  # threads
        self._error: BaseException | None = None
        self._sockets: set[socket.socket] = set()
        self._wanted = _by_content(job)
        self._digests: dict[str, ManifestFile] = {}
        self._rate = Rate()

    def run(
        self, progress: Callable[[FetchProgress], None], cancelled: CancelledCallback
    ) -> dict[str, ManifestFile]:
        """Fetch what is missing; the checksum of every file, by its path in the model.

        Args:
            progress: called several times a second, on this thread.
            cancelled: asked as often; True stops.

        Raises:
            DownloadStopped: `cancelled` said so.
            DownloadRoom, DiskFull, HomeUnwritable: the disk cannot take it.
            FileNotAsListed: a file is not what the repository lists.
            HearthError: whatever HubClient.open raises, after some patience.
        """

        def check() -> None:
            if cancelled():
                raise DownloadStopped(name=self._job.name)
            self._tell(progress)

        try:
            for wanted in self._wanted:
                self._find(wanted, check)
            self._check_room()
        except OSError as error:
            raise writing_failed(self._place, error) from error
        self._fetch(check)
        self._tell(progress)
        return dict(self._digests)

    def _fetch(self, check: Callable[[], None]) -> None:
        """Have threads fetch every piece that is missing."""
        pieces = sum(len(wanted.pieces) for wanted in self._wanted)
        threads = [
            Thread(target=self._work, name=f"download-{number}", daemon=True)
            for number in range(min(CONNECTIONS, pieces))
        ]
        self._working = len(threads)
        for thread in threads:
            thread.start()
        try:
            while self._error is None and self._working:
                check()
                self._news.wait(_TELL_SECONDS)
                self._news.clear()
        finally:
            self._end()
            for thread in threads:
                thread.join(_JOIN_SECONDS)
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        """No thread writes from now on, and none waits for bytes."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
            for connection in self._sockets:
                with suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _tell(self, progress: Callable[[FetchProgress], None]) -> None:
        done = total = 0
        for wanted in self._wanted:
            partial, size = wanted.partial, wanted.file.bytes * len(wanted.targets)
            done += size if partial is None else partial.bytes_done * len(wanted.targets)
            total += size
        self._rate.add(done)
        progress(FetchProgress(done, total, self._rate.bytes_per_second, self._rate.seconds_left(total)))

    def _find(self, wanted: _Wanted, check: Callable[[], None]) -> None:
        """See what is there of a file: whole, as part of another model, or some of its pieces."""
        file = wanted.file
        for path in wanted.targets:
            there = self._folder.files / path
            if there.exists():
                digest = (
                    ManifestFile(file.oid, file.bytes) if file.is_large else digest_of(there, file, check)
                )
                if digest is not None and there.stat().st_size == file.bytes:
                    self._settle(wanted, there, digest)
                    return
                there.unlink()
        first = self._folder.files / wanted.targets[0]
        source = self._shared.get(file.oid) if file.is_large else None
        if source is not None and share(source, file, first, check):
            self._settle(wanted, first, ManifestFile(file.oid, file.bytes))
            return
        self._folder.partial.mkdir(parents=True, exist_ok=True)
        wanted.partial = PartialFile(self._folder.partial, file, PIECE_BYTES)
        wanted.plan(wanted.partial)
        if not wanted.pieces:
            self._finish(wanted, wanted.partial, check)

    def _check_room(self) -> None:
        partials = [wanted.partial for wanted in self._wanted if wanted.partial is not None]
        if not partials:
            return
        needed = sum(wanted.file.bytes for wanted in self._wanted if wanted.partial is not None)
        needed -= sum(partial.bytes_allocated for partial in partials)
        free = shutil.disk_usage(self._folder.path).free
        if free < needed + SPARE_BYTES:
            raise DownloadRoom(
                path=str(self._place),
                needed=(needed + SPARE_BYTES) // 10**6,
                free=free // 10**6,
            )

    # On the threads

    def _work(self) -> None:
        try:
            while (task := self._next()) is not None:
                wanted, partial, index = task
                try:
                    self._fetch_piece(wanted, partial, index)
                    self._check_if_last(wanted, partial)
                finally:
                    with self._changed:
                        wanted.running -= 1
                        self._changed.notify_all()
        except _Stopped:
            pass
        except Exception as error:  # noqa: BLE001 (raised again on the thread that runs it)
            with self._changed:
                if self._error is None and not self._stop.is_set():
                    self._error = error
        finally:
            with self._changed:
                self._working -= 1
            self._news.set()

    def _next(self) -> tuple[_Wanted, PartialFile, int] | None:
        """A piece that nobody has begun; None where there will be none any more."""
        with self._changed:
            while True:
                self._check_stop()
                for wanted in self._wanted:
                    # The first answer tells whether the server knows ranges, so the other pieces wait for it.
                    if wanted.partial is not None and wanted.pieces and (wanted.ranges or not wanted.running):
                        wanted.running += 1
                        return wanted, wanted.partial, wanted.pieces.popleft()
                if not any(wanted.pieces for wanted in self._wanted):
                    return None
                self._changed.wait()

    def _check_if_last(self, wanted: _Wanted, partial: PartialFile) -> None:
        """A piece is whole; whoever brings the last one checks the file."""
        with self._changed:
            wanted.whole += 1
            last = wanted.whole == len(partial.done)
        if last:
            try:
                self._finish(wanted, partial, self._check_stop)
            except OSError as error:
                raise writing_failed(self._place, error) from error

    def _finish(self, wanted: _Wanted, partial: PartialFile, check: Callable[[], None]) -> None:
        """Compare the file with its checksum; one that is damaged is fetched once more.

        Raises:
            FileNotAsListed: it is damaged again.
            OSError: it cannot be read or moved.
        """
        target = self._folder.files / wanted.targets[0]
        digest = partial.finish(target, check)
        if digest is not None:
            self._settle(wanted, target, digest)
            return
        partial.restart()
        if wanted.damaged:
            reason = tr("its checksum differs")
            raise FileNotAsListed(repository=self._job.repository, file=wanted.file.path, reason=reason)
        log.warning("%s of %s arrived damaged, and is fetched again", wanted.file.path, self._job.repository)
        wanted.damaged = True
        with self._changed:
            wanted.plan(partial)

    def _settle(self, wanted: _Wanted, there: Path, digest: ManifestFile) -> None:
        """The file is whole at one of its places; have it at all of them."""
        for path in wanted.targets:
            target = self._folder.files / path
            if target != there and not target.exists():
                link_or_copy(there, target)
            self._digests[path] = digest
        wanted.partial = None

    def _fetch_piece(self, wanted: _Wanted, partial: PartialFile, index: int) -> None:
        """Fetch a piece, or the whole file where the server knows no ranges."""
        failures = 0
        while True:
            start, end = partial.piece(index)
            done = partial.done[index]
            if done == end - start:
                return
            self._check_stop()
            if shutil.disk_usage(self._folder.path).free < end - start - done + SPARE_BYTES:
                raise DiskFull(path=str(self._place))
            try:
                self._stream(wanted, partial, index)
            except _NoRanges:
                log.info("%s comes in one piece: the server knows no ranges", wanted.file.path)
                index = 0
                with self._changed:
                    partial.restart(wanted.file.bytes)
                    wanted.plan(partial)
                    wanted.pieces.clear()  # the only one is this one
            except HearthError as error:
                failures = 1 if partial.done[index] > done else failures + 1
                seconds = self._hub.patience.seconds(failures, error)
                log.info("%s: %s; tried again in %.1f s", wanted.file.path, error.code, seconds)
                if self._stop.wait(seconds):
                    raise _Stopped from None

    def _stream(self, wanted: _Wanted, partial: PartialFile, index: int) -> None:
        """Write what one answer brings of a piece.

        Raises:
            HearthError: it breaks off, or is none of that piece; what has come is kept.
        """
        start, end = partial.piece(index)
        start += partial.done[index]
        with (
            self._hub.open(self._job.repository, self._job.commit, wanted.file, start, end) as response,
            self._registered(response),
        ):
            skipped = start - _first_byte(response, wanted.file, start)
            if response.status_code == 200 and len(partial.done) > 1 and not wanted.ranges:
                raise _NoRanges
            with self._changed:
                wanted.ranges = True
                self._changed.notify_all()
            try:
                with partial.writer(index) as writer, transport_errors(response.url.host):
                    for data in response.iter_bytes():
                        self._check_stop()
                        writer.write(data[skipped:])
                        skipped = max(0, skipped - len(data))
                        if writer.position == end:
                            return
            except OSError as error:
                raise writing_failed(self._place, error) from error
        raise HubFailed(host=response.url.host, reason=tr("it ends too early"))

    @contextmanager
    def _registered(self, response: httpx2.Response) -> Iterator[None]:
        """While it brings bytes, `_end` can break it off."""
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with self._changed:
            self._check_stop()
            self._sockets.add(connection)
        try:
            yield
        finally:
            with self._changed:
                self._sockets.discard(connection)

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped


def _by_content(job: DownloadJob) -> list[_Wanted]:
    """The small ones first: what they are missing tells early that all is in vain."""
    found: dict[str, _Wanted] = {}
    for file in sorted(job.choice.files, key=lambda file: (file.bytes, file.path)):
        found.setdefault(file.oid, _Wanted(file)).targets.append(job.choice.local_path(file))
    return list(found.values())


def _first_byte(response: httpx2.Response, file: RemoteFile, start: int) -> int:
    """Which byte of the file the answer begins with.

    Raises:
        HubFailed: it is not an answer to what was asked.
    """
    packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    if response.status_code == 206:
        match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if packed or match is None or int(match[1]) != start:
            raise HubFailed(host=response.url.host, reason=tr("it sends another part of the file"))
        if int(match[2]) != file.bytes:
            raise HubFailed(host=response.url.host, reason=tr("it has another length"))
        return start
    length = response.headers.get("Content-Length")
    if not packed and length is not None and length != str(file.bytes):
        raise HubFailed(host=response.url.host, reason=tr("it has another length"))
    return 0
