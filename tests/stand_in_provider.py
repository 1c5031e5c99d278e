"""Execution providers that are the CPU in disguise, each with one fault; for tests of what Hearth makes of it.

A trial imports this module in a process of its own, so the folder of the tests must be on PYTHONPATH.
"""

from __future__ import annotations

import ctypes
import os
import time
from typing import Any

import numpy as np
import onnxruntime as ort

from hearth.engine.kv_memory import HOST, KVMemory

CPU = "CPUExecutionProvider"


class StandIn:
    """Without a fault: as good as the CPU."""

    id = "twin"
    ort_name = CPU
    title = "Twin"
    is_tried = False
    lacking = "no twin found"
    session: type[ort.InferenceSession] = ort.InferenceSession

    def version(self) -> str:
        return "1.0"

    def hardware(self) -> str:
        return "A stand-in"

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        return self.session(model, options, providers=[CPU])

    def kv_memory(self) -> KVMemory:
        return HOST


class _KnownLogits(ort.IOBinding):
    """Remembers where the logits go."""

    logits: np.ndarray

    def bind_output(self, name: str, *where: Any) -> None:
        super().bind_output(name, *where)
        if name == "logits":
            shape, address = where[-2:]
            size = int(np.prod(shape))
            self.logits = np.ctypeslib.as_array((ctypes.c_float * size).from_address(address))


class _LyingSession(ort.InferenceSession):
    def io_binding(self) -> ort.IOBinding:
        return _KnownLogits(self)

    def run_with_iobinding(self, binding: _KnownLogits, run_options: Any = None) -> None:
        super().run_with_iobinding(binding, run_options)
        self.lie(binding.logits)

    def lie(self, logits: np.ndarray) -> None:
        logits[:] = logits[::-1].copy()


class _DizzySession(_LyingSession):
    def lie(self, logits: np.ndarray) -> None:
        logits[0] = np.nan


class _SlowSession(ort.InferenceSession):
    def run_with_iobinding(self, binding: ort.IOBinding, run_options: Any = None) -> None:
        time.sleep(0.2)
        super().run_with_iobinding(binding, run_options)


class _BreakingSession(ort.InferenceSession):
    def run_with_iobinding(self, binding: ort.IOBinding, run_options: Any = None) -> None:
        raise RuntimeError("the device was removed")


class _CopyingBinding(ort.IOBinding):
    """Inputs are copied when they are bound, as ONNX Runtime does where the session is not on the CPU."""

    def __init__(self, session: ort.InferenceSession) -> None:
        super().__init__(session)
        self.copies: dict[str, np.ndarray] = {}

    def bind_input(self, name: str, *where: Any) -> None:
        device, number, dtype, shape, address = where
        copy = np.empty(shape, dtype)
        ctypes.memmove(copy.ctypes.data, address, copy.nbytes)
        self.copies[name] = copy
        super().bind_input(name, device, number, dtype, shape, copy.ctypes.data)


class _CopyingSession(ort.InferenceSession):
    def io_binding(self) -> ort.IOBinding:
        return _CopyingBinding(self)


class Copying(StandIn):
    """As a GPU whose keys and values lie in the machine's memory."""

    id = "copying"
    ort_name = "CopyingExecutionProvider"
    title = "Copier"
    session = _CopyingSession


class Lying(StandIn):
    id = "lying"
    title = "Liar"
    session = _LyingSession


class Dizzy(StandIn):
    id = "dizzy"
    title = "Dizzy"
    session = _DizzySession


class Slow(StandIn):
    id = "slow"
    title = "Snail"
    session = _SlowSession


class Breaking(StandIn):
    id = "breaking"
    title = "Glass"
    session = _BreakingSession


class Failing(StandIn):
    id = "failing"
    title = "Failure"

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        raise RuntimeError("out of device memory")


class FailingTwin(Failing):
    """The twin on a day on which it fails."""

    id = StandIn.id
    title = StandIn.title


class Hanging(StandIn):
    id = "hanging"
    title = "Hanger"

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        # As native code may hang: without letting another thread of Python run.
        ctypes.PyDLL(None).sleep(3600)
        raise AssertionError


class Crashing(StandIn):
    id = "crashing"
    title = "Crasher"

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        os._exit(11)


class Missing(StandIn):
    id = "missing"
    title = "Ghost"

    def hardware(self) -> str:
        return ""
