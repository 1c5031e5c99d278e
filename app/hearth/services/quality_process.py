"""A quality report made in a process of its own, which alone carries ONNX Runtime: `python -m hearth.services.quality_process`.

It reads a `QualityJob` from standard input, a line of JSON, and answers in such lines. It ends when its caller does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

import msgspec

import hearth
from hearth.engine.host.protocol import EngineOptions
from hearth.errors import HearthError, QuantizeCancelled, QuantizeCrashed, writing_failed
from hearth.i18n import use_language
from hearth.model_folder.quality import QualityReport
from hearth.quantize.recipe import Recipe

_TELL_SECONDS = 0.25


class QualityJob(msgspec.Struct, frozen=True, kw_only=True):
    """Measure this model.

    Attributes:
        name: what the model is to be called.
        source: the checkpoint's folder.
        folder: the model that was built of it, by this recipe with every choice made.
        text: what it is measured on; empty takes the built-in text.
    """

    name: str
    source: str
    folder: str
    recipe: Recipe
    options: EngineOptions
    build_seconds: float
    language: str
    text: str = ""


class QualityProgress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is: a stage of `quantize.quality.report`, and how much of it is done."""

    stage: str
    done: int
    total: int


class _Done(msgspec.Struct, frozen=True, tag="done"):
    report: QualityReport


class _Failed(msgspec.Struct, frozen=True, tag="failed"):
    code: str
    params: dict[str, Any]


_Message = QualityProgress | _Done | _Failed


def measure_quality(
    job: QualityJob, progress: Callable[[QualityProgress], None], cancelled: Callable[[], bool]
) -> QualityReport:
    """The report, made in another process.

    Args:
        progress: called several times a second.
        cancelled: asked as often; True ends it.

    Raises:
        QuantizeCancelled: `cancelled` said so.
        QuantizeCrashed: the process was killed.
        HearthError: what prevents the report.
    """
    process = _start()
    try:
        with suppress(OSError):  # it ended at once; the end of its lines says so
            stdin = cast("IO[bytes]", process.stdin)
            stdin.write(msgspec.json.encode(job) + b"\n")
            stdin.flush()
        decoder = msgspec.json.Decoder(_Message)
        for line in cast("IO[bytes]", process.stdout):
            try:
                message = decoder.decode(line)
            except msgspec.MsgspecError:  # killed in the middle of a line
                break
            match message:
                case _Done():
                    return message.report
                case _Failed():
                    raise HearthError.from_code(message.code, message.params)
                case QualityProgress():
                    progress(message)
                    if cancelled():
                        raise QuantizeCancelled(name=job.name)
        raise QuantizeCrashed(name=job.name, reason=str(process.wait()))
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                cast("IO[bytes]", stream).close()


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "hearth.services.quality_process"]
    if getattr(sys, "frozen", False):  # the packaged app is its own interpreter
        command = [sys.executable, "--measure-quality"]
    path = os.pathsep.join(
        filter(None, (str(Path(hearth.__file__).parents[1]), os.environ.get("PYTHONPATH")))
    )
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "ORT_DISABLE_TELEMETRY": "1", "PYTHONPATH": path},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        start_new_session=os.name == "posix",  # Ctrl+C in a terminal is for the caller
    )


def serve() -> int:
    """Do the job on standard input; the exit code."""
    reader, writer = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anybody else prints must not get between the lines
    job = msgspec.json.decode(reader.readline(), type=QualityJob)
    use_language(job.language)
    threading.Thread(target=_end_with, args=(reader,), daemon=True).start()
    try:
        _tell(writer, _Done(_report(job, writer)))
    except HearthError as error:
        _tell(writer, _Failed(error.code, error.params))
        return 1
    return 0


def _report(job: QualityJob, writer: IO[bytes]) -> QualityReport:
    from hearth.quantize.checkpoint.checkpoint import Checkpoint
    from hearth.quantize.quality.report import Stage
    from hearth.services.quality import built_in_text, report_quality

    told = 0.0

    def advance(stage: Stage, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TELL_SECONDS:
            told = now
            _tell(writer, QualityProgress(stage=stage, done=done, total=total))

    try:
        return report_quality(
            Checkpoint.open(Path(job.source)),
            Path(job.folder),
            job.recipe,
            job.options,
            text=job.text or built_in_text(),
            build_seconds=job.build_seconds,
            advance=advance,
        )
    except OSError as error:
        raise writing_failed(Path(job.folder), error) from error


def _tell(writer: IO[bytes], message: _Message) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")
    writer.flush()


def _end_with(stream: IO[bytes]) -> None:
    stream.read()
    os._exit(1)


def main() -> int:
    """What starts the process calls this; the exit code."""
    code = serve()
    os._exit(code)  # the thread that waits for the caller's end would not let go


if __name__ == "__main__":
    main()
