"""Almost any GPU through WebGPU: Metal, DirectX 12 or Vulkan; a plugin in the package onnxruntime-ep-webgpu."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

import onnxruntime as ort

from hearth.engine.kv_memory import HOST, KVMemory
from hearth.engine.providers import built_in
from hearth.engine.providers.graphics import graphics_cards
from hearth.i18n import mark, tr

_MODULE = "onnxruntime_ep_webgpu"


class WebGpuProvider:
    id = "webgpu"
    ort_name = "WebGpuExecutionProvider"
    title = "WebGPU"
    is_tried = False
    lacking = mark("no graphics card found")

    def version(self) -> str:
        if importlib.util.find_spec(_MODULE) is None:
            return ""
        from importlib import metadata  # takes a while to come, and few have the plugin

        try:
            return metadata.version("onnxruntime-ep-webgpu")
        except metadata.PackageNotFoundError:  # the packaged app carries no metadata
            return "?"

    def hardware(self) -> str:
        # Not asked of the plugin, whose native code runs only where a trial has shown that it can.
        return next(iter(graphics_cards()), "")

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        devices = _devices()
        if not devices:
            raise RuntimeError(tr(self.lacking))
        options.add_provider_for_devices(devices[:1], {})
        session = ort.InferenceSession(model, options)
        built_in.check_use(session, self.ort_name)
        return session

    def kv_memory(self) -> KVMemory:
        return HOST


@cache
def _devices() -> list[Any]:
    """What the plugin can use; it is registered once in a process."""
    plugin = importlib.import_module(_MODULE)
    ort.register_execution_provider_library("webgpu", plugin.get_library_path())
    return [device for device in ort.get_ep_devices() if device.ep_name == WebGpuProvider.ort_name]
