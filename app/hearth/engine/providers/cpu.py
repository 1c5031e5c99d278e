"""The processor: there on every machine, and what the results of all others are compared with."""

from __future__ import annotations

import platform

import onnxruntime as ort

from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.providers import built_in
from hearth.i18n import mark


class CpuProvider:
    id = "cpu"
    ort_name = built_in.CPU
    title = "CPU"
    is_tried = True
    lacking = mark("no processor found")

    def version(self) -> str:
        return built_in.version_of(self.ort_name)

    def hardware(self) -> str:
        return platform.machine() or "CPU"

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        return ort.InferenceSession(model, options, providers=[self.ort_name])

    def kv_memory(self) -> KVMemory:
        return HOST
