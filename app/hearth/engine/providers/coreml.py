"""GPU and neural engine of a Mac through Core ML; part of ONNX Runtime for macOS."""

from __future__ import annotations

import platform
import sys

import onnxruntime as ort

from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.providers import built_in
from hearth.i18n import mark


class CoreMLProvider:
    id = "coreml"
    ort_name = "CoreMLExecutionProvider"
    title = "Apple Core ML"
    is_tried = False
    lacking = mark("this is not a Mac with Apple silicon")

    def version(self) -> str:
        return built_in.version_of(self.ort_name)

    def hardware(self) -> str:
        return "Apple silicon" if sys.platform == "darwin" and platform.machine() == "arm64" else ""

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        # The older format knows too few operators of a language model to be worth the way there and back.
        return built_in.open_on(
            self.ort_name, model, options, {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
        )

    def kv_memory(self) -> KVMemory:
        return HOST
