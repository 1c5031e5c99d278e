"""How a model runs on this machine where the settings file does not say otherwise."""

from __future__ import annotations

import msgspec

from hearth.config import EngineSection
from hearth.engine.host.protocol import EngineOptions
from hearth.hardware.machine import Machine
from hearth.model_folder.model_settings import ModelSettings
from hearth.paths import kept_context_folder, kv_scales_folder, packed_weights_folder
from hearth.services.device_options import device_options, processor_text

MB = 1 << 20
LEAST_KV_CACHE_BYTES = 256 * MB
# Of the machine's memory; the rest is for the weights, the desktop and everything else that runs.
KV_CACHE_SHARE = 4


def engine_options(settings: EngineSection, machine: Machine) -> EngineOptions:
    """The settings, and for what they leave open: all usable cores at most, a quarter of the memory for keys and values."""
    kv_cache_bytes = settings.kv_cache_mb * MB
    if not kv_cache_bytes:
        kv_cache_bytes = max(machine.memory_bytes // KV_CACHE_SHARE, LEAST_KV_CACHE_BYTES)
    return EngineOptions(
        threads=settings.threads or machine.usable_cores,
        kv_cache_bytes=kv_cache_bytes,
        max_slots=settings.max_slots,
        max_context=settings.max_context,
        draft_model=settings.draft_model,
        kv_store_folder=str(kept_context_folder()),
        kv_store_bytes=settings.kept_context_mb * MB,
        devices=device_options(settings.device, settings.threads, machine),
        kv_cache_type=settings.kv_cache_type,
        kv_scales_folder=str(kv_scales_folder()),
        packed_folder=str(packed_weights_folder()),
        packed_bytes=0 if settings.packed_weights == "off" else settings.packed_weights_mb * MB,
        packs_all=settings.packed_weights == "on",
        machine=processor_text(machine),
        memory_bytes=machine.memory_bytes,
    )


def for_model(options: EngineOptions, settings: ModelSettings) -> EngineOptions:
    """The same with what the owner has set for one model."""
    settings = settings.sound()
    if settings.max_context is not None:
        options = msgspec.structs.replace(options, max_context=settings.max_context)
    if settings.device is not None and options.devices is not None:
        devices = msgspec.structs.replace(options.devices, device=settings.device)
        options = msgspec.structs.replace(options, devices=devices)
    return options


def with_threads(options: EngineOptions, threads: int) -> EngineOptions:
    """The same with this number of threads and no other."""
    devices = options.devices and msgspec.structs.replace(options.devices, threads_are_set=True)
    return msgspec.structs.replace(options, threads=threads, devices=devices)
