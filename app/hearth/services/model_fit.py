"""Will it fit, will it be fast: `hearth.models.fit` for this machine, its settings, and the forms that models come in.

fits = Fits.open(config)                        # measures the machine, some seconds the first times; not on a main thread
fits = Fits.open(config, measured=False)        # at once, with the speeds that are known
choices = fits.of_catalogue(entry)              # by recipe, the default first
estimate = choices["balanced"].at(4096)         # memory, speeds, verdict and its reason
advice = advise(choices, "balanced", 4096)      # what would fit better; None where that is as good as it gets
fits.of_entry(entry)                            # a model here, in either format
fits.of_folder(folder), fits.of_config(config), fits.of_gguf_file(read_gguf(path)), fits.of_gguf(shape, file_bytes)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from hearth import paths
from hearth.child_process import LOOK_SECONDS
from hearth.config import Config, models_root
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.llama_cpp_context import bytes_of_token, context_for
from hearth.engine.packed_weights import SIZE_FACTOR, wants_packing
from hearth.errors import ModelUnsupported
from hearth.hardware.machine import Machine, read_machine
from hearth.i18n import tr
from hearth.model_folder.digest import files_digest, model_digest
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.gguf_file import GgufFile, read_gguf
from hearth.model_folder.graph_summary import read_graph
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.catalogue import CatalogueEntry
from hearth.models.entry import ModelEntry
from hearth.models.experience import Experience, read_experience, write_experience
from hearth.models.fit import Correction, Disk, MachineSpec, ModelFit
from hearth.models.shape import ModelShape
from hearth.models.source import model_file
from hearth.models.weights import Precision, Weights, checkpoint_bytes
from hearth.quantize.recipe import EMBEDDING, HEAD, Recipe
from hearth.quantize.recipe_file import DEFAULT_RECIPE, load_recipe
from hearth.services.device_options import machine_text
from hearth.services.engine_options import engine_options
from hearth.services.machine_speed import measure_speed
from hearth.services.quantizing_time import quantizing_seconds

# In the order in which they are advised: the smaller ones come after.
RECIPES = (DEFAULT_RECIPE, "small")
# Each may meet a machine that is busy.
_ENOUGH_MEASUREMENTS = 3
# Two at a time would each find half a machine.
_measuring = Lock()


def experience_file() -> Path:
    """What this machine and its models have shown."""
    return paths.home() / "fit.json"


def read_machine_experience(
    machine: Machine, *, measured: bool, cancelled: Callable[[], bool] = lambda: False
) -> Experience:
    """What is kept of this machine; with `measured`, its speeds are measured now unless they were often enough.

    Args:
        cancelled: asked ten times a second while they are; True leaves it at what is known.
    """
    file, text = experience_file(), machine_text(machine)
    known = read_experience(file, text)
    if not measured or len(known.measured) >= _ENOUGH_MEASUREMENTS:
        return known
    while not _measuring.acquire(timeout=LOOK_SECONDS):
        if cancelled():
            return known
    try:
        now = read_experience(file, text)
        if len(now.measured) > len(known.measured) or cancelled():  # another thread has just done it
            return now
        speeds = measure_speed(machine.usable_cores, cancelled)
        if speeds.bandwidth:
            # A model may have shown something meanwhile.
            now = read_experience(file, text).with_speeds(speeds)
            write_experience(file, now)
        return now
    finally:
        _measuring.release()


def precision_of(recipe: Recipe) -> Precision:
    """How a recipe keeps matrices, as far as sizes depend on it."""
    mixed = recipe.mixed
    return Precision(
        bits=recipe.bits,
        block_size=recipe.block_size,
        symmetric=recipe.symmetric,
        head_bits=recipe.scheme_for(HEAD).bits,
        embedding_bits=recipe.scheme_for(EMBEDDING).bits,
        bits_per_weight=0.0 if mixed is None else mixed.bits_per_weight,
    )


@dataclass(frozen=True, slots=True)
class Fits:
    """Estimates for one machine with its settings.

    Attributes:
        spec: the machine in plain numbers.
        options: how models run on it.
        experience: what models have shown on it.
        is_measured: its speeds are known, or will not be; else they are still to be measured.
    """

    machine: Machine
    spec: MachineSpec
    options: EngineOptions
    experience: Experience
    is_measured: bool = True

    @classmethod
    def open(
        cls, config: Config, *, measured: bool = True, cancelled: Callable[[], bool] = lambda: False
    ) -> Fits:
        """Look at this machine. With `measured`, measure it as well, the first three times: some seconds each.

        Args:
            cancelled: ends the measuring, as in `read_machine_experience`.
        """
        machine = read_machine()
        experience = read_machine_experience(machine, measured=measured, cancelled=cancelled)
        options = engine_options(config.engine, machine)
        fits = cls.of_options(options, machine, experience, _disk_free(models_root(config)))
        return replace(fits, is_measured=measured or fits.spec.speeds.bandwidth > 0)

    @classmethod
    def of_options(
        cls, options: EngineOptions, machine: Machine, experience: Experience, disk_free_bytes: int = 0
    ) -> Fits:
        """For a machine that was looked at already."""
        spec = MachineSpec(
            memory_bytes=machine.memory_bytes,
            cores=options.threads,
            available_bytes=machine.available_bytes,
            disk_free_bytes=disk_free_bytes,
            speeds=experience.speeds,
            kv_limit_bytes=options.kv_cache_bytes,
        )
        return cls(machine, spec, options, experience)

    def of_catalogue(self, entry: CatalogueEntry, recipe: Recipe | None = None) -> dict[str, ModelFit]:
        """A model of the catalogue, by recipe that it would be quantized with."""
        return self._by_recipe(entry.shape, entry.checkpoint_bytes, recipe)

    def of_config(
        self, config: Mapping[str, Any], recipe: Recipe | None = None, *, download: int = 0
    ) -> dict[str, ModelFit]:
        """A checkpoint by its `config.json`, by recipe.

        Args:
            recipe: in the place of the default one.
            download: bytes of the checkpoint; estimated where 0.

        Raises:
            ModelFileInvalid: it does not describe a model.
        """
        shape = ModelShape.of_config(config)
        return self._by_recipe(shape, download or checkpoint_bytes(shape), recipe)

    def of_checkpoint(self, shape: ModelShape, recipe: str, download: int) -> ModelFit:
        """A checkpoint of this shape and size, quantized with the recipe of that name."""
        return self._quantized(shape, load_recipe(recipe), download)

    def of_entry(self, entry: ModelEntry) -> ModelFit:
        """A model here, in onnxruntime-genai's format or GGUF.

        Raises:
            ModelUnsupported: it is in another format, or its header leaves out what must be known.
            HearthError, OSError: its files cannot be used.
        """
        if entry.format == GENAI:
            return self.of_folder(ModelFolder.open(entry.path, [entry.path] if entry.in_place else []))
        if entry.format == GGUF:
            return self.of_gguf_file(read_gguf(model_file(entry.path, entry.manifest)))
        reason = tr("estimates are for models in the onnxruntime-genai format and GGUF, and for checkpoints")
        raise ModelUnsupported(name=entry.name, reason=reason)

    def of_folder(self, folder: ModelFolder) -> ModelFit:
        """A model folder in onnxruntime-genai's format, as it lies on the disk.

        Raises:
            OSError: it cannot be read any more.
        """
        graph = read_graph(folder.graph_file)
        shape = ModelShape.of_folder(folder.config, graph, folder.tokenizer_file.stat().st_size)
        weights = Weights.of_graph(shape, graph.external, folder.bytes)
        # The digest reads some of the weights: only where something is known by it.
        model = model_digest(folder) if self.experience.models else ""
        return self._fit(shape, weights, 0, self.experience.correction(model))

    def of_gguf_file(self, file: GgufFile) -> ModelFit:
        """A model in GGUF, as it lies on the disk.

        Raises:
            ModelUnsupported: its header leaves out what must be known.
            ModelFileInvalid: its header lies.
            OSError: it cannot be read any more.
        """
        model = files_digest(file.parts) if self.experience.models else ""
        return self.of_gguf(ModelShape.of_gguf(file), file.bytes, model)

    def of_gguf(self, shape: ModelShape, file_bytes: int, model: str = "") -> ModelFit:
        """A GGUF file of this shape and size; `model` is its digest, where it is here."""
        is_int8 = self.options.kv_cache_type == "int8"
        return ModelFit(
            shape,
            Weights.of_gguf(shape, file_bytes),
            self.spec,
            Disk(download=0, model=file_bytes),
            kv_type="q8_0" if is_int8 else "float16",
            correction=self.experience.correction(model, GGUF),
            reserved_context=context_for(
                shape.context, self.options, bytes_of_token(shape.kv_numbers, self.options)
            ),
            format=GGUF,
        )

    def _by_recipe(self, shape: ModelShape, download: int, recipe: Recipe | None) -> dict[str, ModelFit]:
        recipes = {name: load_recipe(name) for name in RECIPES}
        if recipe is not None:
            recipes = {recipe.name: recipe, **recipes}
        return {name: self._quantized(shape, known, download) for name, known in recipes.items()}

    def _quantized(self, shape: ModelShape, recipe: Recipe, download: int) -> ModelFit:
        weights = Weights.of_shape(shape, precision_of(recipe))
        fit = self._fit(shape, weights, download, self.experience.correction())
        return replace(fit, quantizing_seconds=quantizing_seconds(shape, recipe, self.spec))

    def _fit(self, shape: ModelShape, weights: Weights, download: int, correction: Correction) -> ModelFit:
        packed = round(weights.disk * SIZE_FACTOR) if wants_packing(weights.disk, self.options) else 0
        if packed > self.options.packed_bytes:
            packed = 0
        kv_type = "int8" if self.options.kv_cache_type == "int8" else "float32"
        disk = Disk(download=download, model=weights.disk, packed=packed)
        return ModelFit(shape, weights, self.spec, disk, kv_type, bool(packed), correction)


def _disk_free(folder: Path) -> int:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0
