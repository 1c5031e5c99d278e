"""NVIDIA GPUs through CUDA; part of the package onnxruntime-gpu."""

from __future__ import annotations

import ctypes

import onnxruntime as ort

from hearth.engine.cuda_memory import LIBRARY, CudaMemory
from hearth.engine.kv_memory import KVMemory
from hearth.engine.providers import built_in
from hearth.i18n import mark

_NAME_BYTES = 256


class CudaProvider:
    id = "cuda"
    ort_name = "CUDAExecutionProvider"
    title = "NVIDIA CUDA"
    is_tried = True
    lacking = mark("no NVIDIA GPU found")

    def version(self) -> str:
        return built_in.version_of(self.ort_name)

    def hardware(self) -> str:
        return nvidia_gpu()

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        # Finds the libraries of CUDA where they came as Python packages.
        ort.preload_dlls()
        # The arena would double its memory at each step of growth, and a home GPU has none to give away.
        session = built_in.open_on(
            self.ort_name, model, options, {"arena_extend_strategy": "kSameAsRequested"}
        )
        built_in.check_attention(session)
        return session

    def kv_memory(self) -> KVMemory:
        return CudaMemory()


def nvidia_gpu(library: str = LIBRARY) -> str:
    """The name of the first NVIDIA GPU, as its driver tells it; empty where there is no GPU or no driver."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return ""
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return ""
    name = ctypes.create_string_buffer(_NAME_BYTES)
    failed = driver.cuDeviceGetName(name, _NAME_BYTES, 0)
    return "NVIDIA GPU" if failed else name.value.decode(errors="replace")
