"""The providers that Hearth knows, the one tried first at the top."""

from __future__ import annotations

from hearth.engine.providers.coreml import CoreMLProvider
from hearth.engine.providers.cpu import CpuProvider
from hearth.engine.providers.cuda import CudaProvider
from hearth.engine.providers.directml import DirectMLProvider
from hearth.engine.providers.openvino import OpenVINOProvider
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.webgpu import WebGpuProvider

CPU: Provider = CpuProvider()

PROVIDERS: tuple[Provider, ...] = (
    CudaProvider(),
    DirectMLProvider(),
    CoreMLProvider(),
    WebGpuProvider(),
    OpenVINOProvider(),
    CPU,
)
