"""The CUDA driver as a Python object over this process's memory, and a provider whose keys and values lie in it.

Memory begins as NaN, as that of a GPU may; every address is checked, and what is freed is gone.
"""

from __future__ import annotations

import ctypes
from typing import Any

import onnxruntime as ort

from hearth.engine.cuda_memory import Copy2D, CudaMemory
from hearth.engine.kv_memory import KVMemory
from stand_in_provider import StandIn

OUT_OF_MEMORY, INVALID_VALUE, INVALID_CONTEXT = 2, 1, 201
HOST, DEVICE = 1, 2


class Driver:
    """As much of it as Hearth calls.

    Attributes:
        blocks: what is allocated, by address.
        pending: whether something was begun that nobody waited for.
        size: bytes that the device has.
    """

    def __init__(self, size: int = 1 << 30) -> None:
        self.blocks: dict[int, ctypes.Array[ctypes.c_char]] = {}
        self.pending = False
        self.size = size
        self._is_current = False

    def cuInit(self, flags: int) -> int:
        return flags

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        device._obj.value = ordinal
        return 0

    def cuDevicePrimaryCtxRetain(self, context: Any, device: ctypes.c_int) -> int:
        context._obj.value = 7 + device.value
        return 0

    def cuCtxSetCurrent(self, context: ctypes.c_void_p) -> int:
        self._is_current = context.value == 7
        return 0 if self._is_current else INVALID_CONTEXT

    def cuCtxSynchronize(self) -> int:
        self.pending = False
        return 0

    def cuMemGetInfo_v2(self, free: Any, total: Any) -> int:
        total._obj.value = self.size
        free._obj.value = self.size - sum(map(ctypes.sizeof, self.blocks.values()))
        return 0

    def cuMemAlloc_v2(self, address: Any, size: ctypes.c_size_t) -> int:
        if not self._is_current or not size.value:
            return INVALID_VALUE
        if sum(map(ctypes.sizeof, self.blocks.values())) + size.value > self.size:
            return OUT_OF_MEMORY
        block = ctypes.create_string_buffer(size.value)
        ctypes.memset(block, 0xFF, size.value)
        address._obj.value = ctypes.addressof(block)
        self.blocks[address._obj.value] = block
        return 0

    def cuMemFree_v2(self, address: ctypes.c_uint64) -> int:
        return 0 if self.blocks.pop(address.value, None) else INVALID_VALUE

    def cuMemsetD8_v2(self, address: ctypes.c_uint64, value: ctypes.c_ubyte, size: ctypes.c_size_t) -> int:
        if not self._holds(address.value, size.value):
            return INVALID_VALUE
        ctypes.memset(address.value, value.value, size.value)
        self.pending = True
        return 0

    def cuMemcpy2DUnaligned_v2(self, argument: Any) -> int:
        copy: Copy2D = argument._obj
        places = (
            (copy.srcMemoryType, copy.srcHost, copy.srcDevice, copy.srcPitch),
            (copy.dstMemoryType, copy.dstHost, copy.dstDevice, copy.dstPitch),
        )
        starts = []
        for kind, host, device, pitch in places:
            span = (copy.Height - 1) * pitch + copy.WidthInBytes
            if pitch < copy.WidthInBytes or (kind == DEVICE and not self._holds(device, span)):
                return INVALID_VALUE
            starts.append(host if kind == HOST else device)
        source, target = starts
        for row in range(copy.Height):
            ctypes.memmove(target + row * copy.dstPitch, source + row * copy.srcPitch, copy.WidthInBytes)
        self.pending = True
        return 0

    def _holds(self, address: int, size: int) -> bool:
        return any(
            start <= address and address + size <= start + ctypes.sizeof(block)
            for start, block in self.blocks.items()
        )


class StandInMemory(CudaMemory):
    """Lies about its device, so that the CPU's sessions use it as it is."""

    device = "cpu"


class OnDevice(StandIn):
    """The CPU, with keys and values in the memory of a GPU that is none."""

    id = "on device"
    title = "Device"

    def __init__(self, driver: Driver | None = None) -> None:
        self.driver = driver or Driver()

    def kv_memory(self) -> KVMemory:
        return StandInMemory(self.driver)

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        driver = self.driver

        class Session(ort.InferenceSession):
            def run_with_iobinding(self, binding: ort.IOBinding, run_options: Any = None) -> None:
                assert not driver.pending, "a run began before the copies were over"
                super().run_with_iobinding(binding, run_options)

        return Session(model, options, providers=[self.ort_name])
