"""A model tried on a device in a process of its own: a driver that hangs or crashes takes nothing with it.

`python -m hearth.engine.providers try` (in the packaged app `hearth --devices try`) reads a `TrialRequest` from its
standard input and writes a `TrialReply`, as frames of MessagePack.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from hearth.child_process import NO_WINDOW, child_environment, end_child
from hearth.engine.host.pipe import FrameInvalid, Pipe, PipeClosed
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.providers.measuring import MOST_TOKENS, measure
from hearth.engine.providers.process import process_command
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.trial import CPU_ID, Refusal, Trial
from hearth.errors import HearthError, ModelRunFailed
from hearth.i18n import language, use_language
from hearth.model_folder.folder import ModelFolder

# Enough for one sequence of a measurement in any model; only what that needs is taken.
_KV_CACHE_BYTES = 4 << 30
# How much later than its caller would a process end itself whose caller is gone.
_GRACE_SECONDS = 10


class TrialRequest(msgspec.Struct, tag="try", kw_only=True):
    """Try this model on this device.

    Attributes:
        provider: `module:Class`, so that this process needs no list of what its caller knows.
        patience: seconds after which the caller gives up.
    """

    provider: str
    folder: str
    roots: list[str]
    name: str
    threads: int
    language: str
    patience: float


class TrialReply(msgspec.Struct, tag="tried", kw_only=True):
    """How it went.

    Attributes:
        logits: float32, one row after the other.
    """

    trial: Trial
    logits: bytes = b""


def try_provider(
    folder: ModelFolder, name: str, provider: Provider, threads: int, patience: float
) -> tuple[Trial, np.ndarray]:
    """Load and run the model in a process of its own; how it went, and the logits, flat.

    Takes `patience` seconds at most.
    """
    request = TrialRequest(
        provider=f"{type(provider).__module__}:{type(provider).__qualname__}",
        folder=str(folder.path),
        roots=sorted({str(file.parent) for file in folder.files()}),
        name=name,
        threads=threads,
        language=language(),
        patience=patience,
    )
    refused = Trial(provider=provider.id, threads=threads, refusal=Refusal.CRASH)
    process = subprocess.Popen(
        process_command("try"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=child_environment(),
        creationflags=NO_WINDOW,
    )
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(patience, give_up)
    timer.start()
    pipe: Pipe[TrialReply] = Pipe(process.stdout, process.stdin, TrialReply)
    try:
        pipe.send(request)
        reply = pipe.receive()
        return reply.trial, np.frombuffer(reply.logits, np.float32)
    except (PipeClosed, FrameInvalid):
        if late.is_set():
            return _because(refused, Refusal.HANG, f"{patience:.0f}"), np.empty(0, np.float32)
        code = process.wait()
        return _because(refused, Refusal.CRASH, str(code)), np.empty(0, np.float32)
    finally:
        timer.cancel()
        end_child(process)


def serve() -> None:
    """Answer the one request on standard input, and end the process."""
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not get between the frames
    pipe: Pipe[TrialRequest] = Pipe(reader, writer, TrialRequest)
    with suppress(PipeClosed):
        request = pipe.receive()
        use_language(request.language)
        threading.Thread(target=_end_with_caller, args=(pipe,), daemon=True).start()
        # Native code that hangs may let no thread of Python run: this timer needs none.
        faulthandler.dump_traceback_later(request.patience + _GRACE_SECONDS, exit=True)
        pipe.send(_answer(request))
    # Not a return: a driver that fails while it is unloaded has nothing to say any more.
    os._exit(0)


def _end_with_caller(pipe: Pipe[TrialRequest]) -> None:
    with suppress(PipeClosed, FrameInvalid):
        pipe.receive()
    os._exit(0)


def _answer(request: TrialRequest) -> TrialReply:
    module, _, class_name = request.provider.partition(":")
    provider: Provider = getattr(importlib.import_module(module), class_name)()
    trial = Trial(provider=provider.id, threads=request.threads)
    try:
        folder = ModelFolder.open(Path(request.folder), [Path(root) for root in request.roots])
        runner = OrtRunner(
            folder,
            request.name,
            threads=request.threads,
            provider=provider,
            max_slots=1,
            kv_cache_bytes=_KV_CACHE_BYTES,
            max_context=MOST_TOKENS,
        )
        if provider.id != CPU_ID:  # what a device compiles, loads and tunes at its first run is not its speed
            measure(runner)
        measured = measure(runner)
    except HearthError as error:
        kind = Refusal.RUN if isinstance(error, ModelRunFailed) else Refusal.LOAD
        return TrialReply(trial=_because(trial, kind, str(error.params.get("reason", error))))
    except MemoryError:
        return TrialReply(trial=_because(trial, Refusal.LOAD, "MemoryError"))
    speeds = msgspec.structs.replace(trial, read_speed=measured.read_speed, write_speed=measured.write_speed)
    return TrialReply(trial=speeds, logits=measured.logits.astype(np.float32).tobytes())


def _because(trial: Trial, refusal: Refusal, detail: str) -> Trial:
    return msgspec.structs.replace(trial, refusal=refusal, detail=detail)
