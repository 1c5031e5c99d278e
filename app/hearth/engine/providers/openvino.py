"""Graphics and processors of Intel through OpenVINO; part of the package onnxruntime-openvino."""

from __future__ import annotations

import platform

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as native

from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.providers import built_in
from hearth.engine.providers.graphics import graphics_cards
from hearth.i18n import mark


class OpenVINOProvider:
    id = "openvino"
    ort_name = "OpenVINOExecutionProvider"
    title = "Intel OpenVINO"
    is_tried = True
    lacking = mark("no processor that OpenVINO knows found")

    def version(self) -> str:
        return built_in.version_of(self.ort_name)

    def hardware(self) -> str:
        graphics = next((card for card in graphics_cards() if "Intel" in card), "")
        return graphics or ("CPU" if platform.machine() in ("x86_64", "AMD64") else "")

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        # Ids are such as CPU, GPU, GPU.1 and NPU; the last takes models of fixed shapes only.
        devices = native.get_available_openvino_device_ids()
        device = next((known for known in devices if known.startswith("GPU")), "CPU")
        return built_in.open_on(self.ort_name, model, options, {"device_type": device})

    def kv_memory(self) -> KVMemory:
        return HOST
