"""Weights as the processor's kernels want them, kept on the disk, so that a model loads by mapping a file.

onnxruntime reorders most weights when it loads a model, which takes seconds and memory that no file backs. A packed form
has them reordered already, beside the raw ones. It is good for one graph, one onnxruntime and one kind of processor, and
a wrong one gives wrong answers without a word: so each lies in a folder with a manifest that says what it was made of,
and one that is not exactly as it was made is removed when it is met. `packing.py` makes them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec

from hearth.engine.host.protocol import EngineOptions
from hearth.model_folder.folder import ModelFolder

log = logging.getLogger(__name__)

_FORMAT = 1
GRAPH_FILE = "model.onnx"
DATA_FILE = "model.onnx.data"
_MANIFEST_FILE = "manifest.json"
_MANIFEST_MAX_BYTES = 64 << 10
# Raw and reordered weights lie in it: measured 2.3 and 2.4 times the model's own, int4 in blocks of 32.
SIZE_FACTOR = 2.6
# What a disk keeps free beside it.
_SPARE_BYTES = 2 << 30
_SPARE_SHARE = 20
_SAMPLES = 32
_SAMPLE_BYTES = 64 << 10
_PIECE_BYTES = 4 << 20
# Packing a large model from a slow disk takes minutes.
_FORSAKEN_SECONDS = 3600
# Weights that take less than this part of the memory are loaded as they are unless somebody wants all packed: the packed
# form takes twice their place on the disk.
_MEMORY_SHARE = 4
_PART, _GONE, _REFUSED = ".part", ".gone", ".refused"


class Origin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a packed form is made of, and for what; another in any of it is another form.

    Attributes:
        model: a digest of the model.
        graph: a digest of the graph as the session gets it.
        onnxruntime: its version.
        machine: the processor and its instruction sets.
    """

    model: str
    graph: str
    onnxruntime: str
    machine: str
    format: int = _FORMAT

    @property
    def name(self) -> str:
        """A folder name, 32 hex digits."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]


class FileState(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file as it was made.

    Attributes:
        modified: in nanoseconds; a hole punched in later changes it.
        sample: a digest of places all over it.
        sha256: of all of it.
    """

    bytes: int
    modified: int
    sample: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What lies beside the files.

    Attributes:
        source: the model's folder; once that is gone, so is the packed form.
    """

    origin: Origin
    source: str
    files: dict[str, FileState]


class PackedWeightsDamaged(Exception):
    """A packed form that is not as it was made."""


def weight_bytes(folder: ModelFolder) -> int:
    return sum(file.stat().st_size for file in folder.data_files)


def packed_weights(folder: ModelFolder, options: EngineOptions) -> PackedWeights | None:
    """Where this model's weights are packed, or will be; None where they are better loaded as they are."""
    if not wants_packing(weight_bytes(folder), options):
        return None
    return PackedWeights(Path(options.packed_folder), options.packed_bytes)


def wants_packing(weights: int, options: EngineOptions) -> bool:
    """Whether so many bytes of weights are better mapped from a packed form."""
    if not options.packed_bytes or not weights:
        return False
    return weights * _MEMORY_SHARE >= options.memory_bytes or options.packs_all


class NotTheSame(Exception):
    """A packed form gives other numbers than the model."""


class NotPacked(Exception):
    """There is no place for a packed form, or none that is right; says why, for the log."""


@dataclass(frozen=True, slots=True)
class PackedWeights:
    """The packed forms of all models on this machine, in one folder.

    Attributes:
        folder: is made when something is first packed.
        byte_limit: for all of them; those not used for longest go first.
    """

    folder: Path
    byte_limit: int

    def find(self, origin: Origin) -> Path | None:
        """The graph file of the packed form of this origin; None where there is none that can be trusted.

        Reads the manifest and two megabytes of samples. What is damaged is removed.
        """
        entry = self.folder / origin.name
        if not entry.is_dir():
            return None
        try:
            manifest = _read_manifest(entry)
            if manifest.origin != origin:
                raise PackedWeightsDamaged("it was made of something else")
            _check(entry, manifest)
        except (OSError, PackedWeightsDamaged) as error:
            log.warning("the packed weights in %s are removed: %s", entry, error)
            _remove(entry)
            return None
        with suppress(OSError):  # another process may have made room
            os.utime(entry / _MANIFEST_FILE)
        return entry / GRAPH_FILE

    def refuse(self, origin: Origin) -> None:
        """Remember that nothing right comes of packing this."""
        with suppress(OSError):
            (self.folder / f"{origin.name}{_REFUSED}").touch()

    def is_refused(self, origin: Origin) -> bool:
        return (self.folder / f"{origin.name}{_REFUSED}").exists()

    def drop(self, origin: Origin) -> None:
        """Remove the packed form of this origin."""
        _remove(self.folder / origin.name)

    def forget(self, models: Collection[str]) -> None:
        """Remove the packed forms of the models with these digests."""
        for entry, manifest in self._entries():
            if manifest.origin.model in models:
                _remove(entry)

    def clear(self) -> None:
        """Remove every packed form; what another process makes at this moment stays, and so does one that is in use."""
        if self.folder.is_dir():
            for entry in self.folder.iterdir():
                if entry.suffix != _PART:
                    _remove(entry)
            self._remove_forsaken()

    def verify(self, model: str, progress: Callable[[int, int], object] | None = None) -> tuple[int, int]:
        """Read every byte of a model's packed forms; how many there were, and how many were damaged and are removed.

        Args:
            model: its digest.
            progress: called with the bytes done and their total.
        """
        entries = [(entry, manifest) for entry, manifest in self._entries() if manifest.origin.model == model]
        total = sum(state.bytes for _, manifest in entries for state in manifest.files.values())
        done = damaged = 0
        for entry, manifest in entries:
            try:
                _check(entry, manifest)
                for name, state in manifest.files.items():
                    before = done

                    def report(read: int, before: int = before) -> None:
                        if progress is not None:
                            progress(before + read, total)

                    if _sha256(entry / name, report) != state.sha256:
                        raise PackedWeightsDamaged(f"the checksum of {name} is wrong")
                    done += state.bytes
            except (OSError, PackedWeightsDamaged) as error:
                log.warning("the packed weights in %s are removed: %s", entry, error)
                _remove(entry)
                damaged += 1
        return len(entries), damaged

    def check_room(self, weight_bytes: int) -> None:
        """Whether the packed form of so many bytes of weights may be made here.

        Raises:
            NotPacked: it would be larger than all may be, or would leave the disk short.
        """
        expected = int(weight_bytes * SIZE_FACTOR)
        if expected > self.byte_limit:
            raise NotPacked(
                f"{expected >> 20} MB are more than the {self.byte_limit >> 20} MB that are allowed"
            )
        usage = shutil.disk_usage(_existing(self.folder))
        if usage.free - expected < max(_SPARE_BYTES, usage.total // _SPARE_SHARE):
            raise NotPacked(f"the disk has {usage.free >> 20} MB left, and {expected >> 20} MB are needed")

    def progress(self, folder: ModelFolder) -> float:
        """How far a form of this model is that another process makes now: 0 to 1, by what is written of it."""
        written = 0
        for file in self.folder.glob(f"*{_PART}/**/*"):
            with suppress(OSError):  # it was moved
                written += file.stat().st_size
        return min(0.95, written / (weight_bytes(folder) * SIZE_FACTOR))

    def new_part(self) -> Path:
        """An empty folder to make a packed form in; what others were killed in is removed."""
        self._remove_forsaken()
        part = self.folder / f"{uuid4().hex}{_PART}"
        part.mkdir(parents=True)
        return part

    def add(self, part: Path, origin: Origin, source: Path) -> None:
        """Take in the files in `part`, with a manifest; what they replace, and what no longer fits, is removed.

        Raises:
            OSError: they cannot be read, written or moved.
        """
        files = {}
        for file in sorted(part.iterdir()):
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())
            stat = file.stat()
            files[file.name] = FileState(
                bytes=stat.st_size,
                modified=stat.st_mtime_ns,
                sample=_sample(file),
                sha256=_sha256(file),
            )
        manifest = Manifest(origin=origin, source=str(source), files=files)
        with (part / _MANIFEST_FILE).open("wb") as stream:
            stream.write(msgspec.json.encode(manifest))
            stream.flush()
            os.fsync(stream.fileno())
        self.take(part, origin)

    def take(self, finished: Path, origin: Origin) -> None:
        """Move a finished form, with its manifest, to its place.

        Raises:
            OSError: another process was faster.
        """
        finished.replace(self.folder / origin.name)
        self._make_room(origin)

    def _remove_forsaken(self) -> None:
        """Remove what killed processes were making, or removing."""
        for forsaken in (*self.folder.glob(f"*{_PART}"), *self.folder.glob(f"*{_GONE}")):
            with suppress(OSError):
                if time.time() - forsaken.stat().st_mtime > _FORSAKEN_SECONDS:
                    shutil.rmtree(forsaken, ignore_errors=True)

    def _entries(self) -> Iterator[tuple[Path, Manifest]]:
        """Every form with a manifest; what has none that can be read is removed."""
        if not self.folder.is_dir():
            return
        for entry in sorted(self.folder.iterdir()):
            if not entry.is_dir() or entry.suffix in (_PART, _GONE):
                continue
            try:
                yield entry, _read_manifest(entry)
            except (OSError, PackedWeightsDamaged) as error:
                log.warning("the packed weights in %s are removed: %s", entry, error)
                _remove(entry)

    def _make_room(self, newest: Origin) -> None:
        """Remove what the newest replaces and what has no model any more; then what was not used for longest."""
        kept = []
        for entry, manifest in self._entries():
            origin = manifest.origin
            if origin != newest and (origin.model == newest.model or not Path(manifest.source).is_dir()):
                _remove(entry)
                continue
            with suppress(OSError):  # another process may do the same
                used = (entry / _MANIFEST_FILE).stat().st_mtime_ns
                kept.append((used, entry, sum(state.bytes for state in manifest.files.values())))
        whole = sum(size for _, _, size in kept)
        for _, entry, size in sorted(kept):
            if whole <= self.byte_limit:
                return
            _remove(entry)
            whole -= size


def _read_manifest(entry: Path) -> Manifest:
    try:
        with (entry / _MANIFEST_FILE).open("rb") as stream:
            return msgspec.json.decode(stream.read(_MANIFEST_MAX_BYTES), type=Manifest)
    except (FileNotFoundError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PackedWeightsDamaged(f"its manifest cannot be read: {error}") from error


def _check(entry: Path, manifest: Manifest) -> None:
    """Compare names, sizes, times and samples of the files with the manifest."""
    if set(manifest.files) != {GRAPH_FILE, DATA_FILE}:
        raise PackedWeightsDamaged("its manifest names other files")
    for name, state in manifest.files.items():
        file = entry / name
        try:
            stat = file.lstat()
        except FileNotFoundError:
            raise PackedWeightsDamaged(f"{name} is missing") from None
        if (stat.st_size, stat.st_mtime_ns) != (state.bytes, state.modified):
            raise PackedWeightsDamaged(f"{name} was changed")
        if _sample(file) != state.sample:
            raise PackedWeightsDamaged(f"{name} does not hold what it held")


def _sample(file: Path) -> str:
    digest = hashlib.sha256()
    size = file.stat().st_size
    with file.open("rb") as stream:
        for sample in range(_SAMPLES):
            stream.seek(max(0, size - _SAMPLE_BYTES) * sample // (_SAMPLES - 1))
            digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _sha256(file: Path, progress: Callable[[int], None] | None = None) -> str:
    digest = hashlib.sha256()
    done = 0
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            digest.update(piece)
            done += len(piece)
            if progress is not None:
                progress(done)
    return digest.hexdigest()


def _remove(entry: Path) -> None:
    """Remove a form. Renamed first, so that it is whole or not there; one that is in use may stay, and is met again."""
    gone = entry.with_name(f"{uuid4().hex}{_GONE}")
    with suppress(OSError):
        entry.replace(gone)
        if gone.is_dir():
            shutil.rmtree(gone, ignore_errors=True)
        else:  # a note of what was refused
            gone.unlink()


def _existing(folder: Path) -> Path:
    """The nearest folder above that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder
