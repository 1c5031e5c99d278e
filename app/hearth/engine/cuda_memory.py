"""Slot buffers in the memory of an NVIDIA GPU, by the driver's own library.

Not by ONNX Runtime's allocator: its arena keeps what is freed, and buffers that grow would leave holes in it. Both use
the primary context of the first GPU, so an address of one is good for the other. ONNX Runtime's kernels run on a stream
that does not wait for the driver's default one, so every copy here is waited for; a run has ended when it returns.

Functions and structures: the CUDA Driver API, https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__MEM.html
"""

from __future__ import annotations

import ctypes
import math
import sys
import weakref
from typing import Any, Self

import numpy as np

from hearth.engine.kv_memory import Shape

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_OUT_OF_MEMORY = 2
_HOST, _DEVICE = 1, 2


class CudaFailed(Exception):
    """The driver refused a call, which it does not where all is well: the context is lost."""


class Copy2D(ctypes.Structure):
    """CUDA_MEMCPY2D_v2: `Height` rows of `WidthInBytes`, each `Pitch` bytes behind the one before."""

    _fields_ = (
        ("srcXInBytes", ctypes.c_size_t),
        ("srcY", ctypes.c_size_t),
        ("srcMemoryType", ctypes.c_uint),
        ("srcHost", ctypes.c_void_p),
        ("srcDevice", ctypes.c_uint64),
        ("srcArray", ctypes.c_void_p),
        ("srcPitch", ctypes.c_size_t),
        ("dstXInBytes", ctypes.c_size_t),
        ("dstY", ctypes.c_size_t),
        ("dstMemoryType", ctypes.c_uint),
        ("dstHost", ctypes.c_void_p),
        ("dstDevice", ctypes.c_uint64),
        ("dstArray", ctypes.c_void_p),
        ("dstPitch", ctypes.c_size_t),
        ("WidthInBytes", ctypes.c_size_t),
        ("Height", ctypes.c_size_t),
    )


class CudaBuffer:
    """A buffer on the GPU; freed when nobody refers to it."""

    def __init__(self, memory: CudaMemory, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self._memory = memory
        self._dtype = dtype
        _, self._heads, length, self._head_dim = shape
        self._pitch = length * self._token_bytes
        size = math.prod(shape) * dtype.itemsize
        self._address = memory.take(size)
        # When the process ends, the driver frees all at once.
        weakref.finalize(self, memory.free, self._address).atexit = False
        memory.clear(self._address, size)

    @property
    def _token_bytes(self) -> int:
        """Of one head."""
        return self._head_dim * self._dtype.itemsize

    def pointer(self, slot: int) -> int:
        return self._address + slot * self._heads * self._pitch

    def copy_from(self, source: Self, source_slot: int, slot: int, length: int) -> None:
        copy = self._copy(length)
        copy.srcMemoryType, copy.srcDevice, copy.srcPitch = (
            _DEVICE,
            source.pointer(source_slot),
            source._pitch,
        )
        copy.dstMemoryType, copy.dstDevice, copy.dstPitch = _DEVICE, self.pointer(slot), self._pitch
        self._memory.copy(copy)

    def read(self, slot: int, length: int) -> np.ndarray:
        tokens = np.empty((self._heads, length, self._head_dim), self._dtype)
        copy = self._copy(length)
        copy.srcMemoryType, copy.srcDevice, copy.srcPitch = _DEVICE, self.pointer(slot), self._pitch
        copy.dstMemoryType, copy.dstHost, copy.dstPitch = (
            _HOST,
            tokens.ctypes.data,
            length * self._token_bytes,
        )
        self._memory.copy(copy)
        return tokens

    def write(self, slot: int, tokens: np.ndarray) -> None:
        tokens = np.ascontiguousarray(tokens, self._dtype)
        length = tokens.shape[1]
        copy = self._copy(length)
        copy.srcMemoryType, copy.srcHost, copy.srcPitch = (
            _HOST,
            tokens.ctypes.data,
            length * self._token_bytes,
        )
        copy.dstMemoryType, copy.dstDevice, copy.dstPitch = _DEVICE, self.pointer(slot), self._pitch
        self._memory.copy(copy)

    def _copy(self, length: int) -> Copy2D:
        """A row for each head."""
        return Copy2D(WidthInBytes=length * self._token_bytes, Height=self._heads)


class CudaMemory:
    """The memory of the first GPU."""

    device = "cuda"

    def __init__(self, driver: Any = None) -> None:
        """`driver`: the library; by default the one that is installed.

        Raises:
            OSError, CudaFailed: there is no driver, or it has no GPU.
        """
        self._driver = ctypes.CDLL(LIBRARY) if driver is None else driver
        self._context = ctypes.c_void_p()
        device = ctypes.c_int()
        self._check("cuInit", 0)
        self._check("cuDeviceGet", ctypes.byref(device), 0)
        self._check("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)

    def allocate(self, shape: Shape, dtype: np.dtype[Any]) -> CudaBuffer:
        return CudaBuffer(self, shape, dtype)

    def free_bytes(self) -> int | None:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self._call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def take(self, size: int) -> int:
        """The address of `size` bytes, in which anything may stand."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        return address.value

    def free(self, address: int) -> None:
        self._call("cuMemFree_v2", ctypes.c_uint64(address))

    def clear(self, address: int, size: int) -> None:
        self._call("cuMemsetD8_v2", ctypes.c_uint64(address), ctypes.c_ubyte(0), ctypes.c_size_t(size))
        self._call("cuCtxSynchronize")

    def copy(self, copy: Copy2D) -> None:
        if not copy.WidthInBytes:
            return
        # Not cuMemcpy2D, which takes only pitches that its own allocator chose.
        self._call("cuMemcpy2DUnaligned_v2", ctypes.byref(copy))
        self._call("cuCtxSynchronize")

    def _call(self, name: str, *arguments: Any) -> None:
        """Call with the context made current, which it is in each thread for itself."""
        self._check("cuCtxSetCurrent", self._context)
        self._check(name, *arguments)

    def _check(self, name: str, *arguments: Any) -> None:
        code = getattr(self._driver, name)(*arguments)
        if code == _OUT_OF_MEMORY:
            raise MemoryError(name)
        if code:
            raise CudaFailed(f"{name}: {code}")
