"""Any GPU on Windows through DirectX 12; part of the package onnxruntime-directml."""

from __future__ import annotations

import sys

import onnxruntime as ort

from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.providers import built_in
from hearth.engine.providers.graphics import graphics_cards
from hearth.i18n import mark


class DirectMLProvider:
    id = "directml"
    ort_name = "DmlExecutionProvider"
    title = "DirectML"
    is_tried = False
    lacking = mark("no graphics card with DirectX found")

    def version(self) -> str:
        return built_in.version_of(self.ort_name)

    def hardware(self) -> str:
        return next(iter(graphics_cards()), "") if sys.platform == "win32" else ""

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        # Both are conditions of this provider.
        options.enable_mem_pattern = False
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        return built_in.open_on(self.ort_name, model, options)

    def kv_memory(self) -> KVMemory:
        return HOST
