"""The file of weights: where each tensor lies, and how all are made and written without being in memory together."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from hearth.quantize.journal import Journal
from hearth.quantize.weights import Weight

# Large tensors start at a page, so that they can be mapped.
_PAGE, _LARGE, _SMALL_STEP = 4096, 65536, 64
# Numbers of the checkpoint that one thread works on at a time: they, and what is made of them, stay in its cache.
PIECE_NUMBERS = 1 << 18


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor lies in the file, in bytes."""

    offset: int
    length: int


def lay_out(weights: Iterable[Weight]) -> tuple[dict[str, Place], int]:
    """The place of each tensor by name, one after the other, and the size of the file."""
    places: dict[str, Place] = {}
    end = 0
    for weight in weights:
        for tensor in weight.tensors:
            step = _PAGE if tensor.bytes >= _LARGE else _SMALL_STEP
            offset = -(-end // step) * step
            places[tensor.name] = Place(offset, tensor.bytes)
            end = offset + tensor.bytes
    return places, end


@dataclass(frozen=True, slots=True)
class _Piece:
    weight: Weight
    start: int
    stop: int

    @property
    def numbers(self) -> int:
        """Of the checkpoint."""
        return (self.stop - self.start) * self.weight.row_numbers


def write_data(
    file: Path,
    weights: Sequence[Weight],
    places: dict[str, Place],
    threads: int,
    advance: Callable[[int], None],
    skip: Callable[[int], None],
    journal: Journal | None = None,
    before: int = 0,
    piece_numbers: int = PIECE_NUMBERS,
) -> None:
    """Make each tensor and write it at its place in a file that is there.

    Args:
        advance: told of each piece that is written, in numbers of the checkpoint. What it raises ends the writing.
        skip: likewise told of what the journal knows.
        journal: which pieces are in the file already, and where it is noted that more of them are.
        before: how many pieces the journal counts before these.
        piece_numbers: of the checkpoint, that are worked on at a time.

    Raises:
        OSError: the file cannot be written.
        ModelFileInvalid, ModelFileTruncated: the checkpoint is not what it was.
    """
    lock = threading.Lock()
    with file.open("r+b", buffering=0) as stream, ThreadPoolExecutor(threads) as pool:

        def work(piece: _Piece) -> None:
            made = piece.weight.make(piece.start, piece.stop)
            with lock:
                for tensor, values in zip(piece.weight.tensors, made, strict=True):
                    row_bytes = places[tensor.name].length // piece.weight.rows
                    stream.seek(places[tensor.name].offset + piece.start * row_bytes)
                    _write(stream, values)

        running: deque[tuple[_Piece, Future[None]]] = deque()

        def finish() -> None:
            """Wait for the oldest: so what is done is always the first so many pieces."""
            piece, future = running.popleft()
            future.result()
            advance(piece.numbers)
            if journal is not None and journal.count(piece.numbers):
                os.fsync(stream.fileno())
                journal.write()

        done = journal.pieces if journal is not None else 0
        try:
            for number, piece in enumerate(_pieces(weights, piece_numbers), before):
                if number < done:
                    skip(piece.numbers)
                    continue
                running.append((piece, pool.submit(work, piece)))
                if len(running) == 2 * threads:
                    finish()
            while running:
                finish()
            os.fsync(stream.fileno())
            if journal is not None:
                journal.write()
        finally:
            for _, future in running:
                future.cancel()


def piece_rows(weight: Weight, piece_numbers: int) -> int:
    """Rows that are made at a time."""
    return min(weight.rows, max(1, piece_numbers // max(1, weight.row_numbers)))


def count_pieces(weights: Sequence[Weight], piece_numbers: int) -> int:
    """In how many pieces they are made."""
    return sum(1 for _ in _pieces(weights, piece_numbers))


def _pieces(weights: Sequence[Weight], piece_numbers: int) -> Iterator[_Piece]:
    for weight in weights:
        step = piece_rows(weight, piece_numbers)
        for start in range(0, weight.rows, step):
            yield _Piece(weight, start, min(weight.rows, start + step))


def _write(stream: FileIO, values: np.ndarray) -> None:
    buffer = np.ascontiguousarray(values).data.cast("B")
    done = 0
    while done < len(buffer):
        done += stream.write(buffer[done:])
