"""How a model's session is opened: on which provider, from its own files or from their packed form."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime loads

import onnxruntime as ort

from hearth.engine.packed_weights import DATA_FILE, Origin, PackedWeights, weight_bytes
from hearth.engine.providers.provider import Provider
from hearth.engine.providers.registry import CPU
from hearth.engine.read_ahead import is_worth_reading_ahead, read_ahead
from hearth.errors import ModelLoadFailed, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.digest import model_digest
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.int8_cache import Scale, with_int8_cache
from hearth.model_folder.lean_loading import with_lean_loading
from hearth.model_folder.positions import with_positions

log = logging.getLogger(__name__)

_REWRITTEN_MAX_BYTES = 64 << 20
# Weights that are packed by several threads stay mapped until all are: as much again, in pages that the system may drop.
_PACKED_AT_ONCE_FACTOR = 2.2


def open_session(
    folder: ModelFolder,
    name: str,
    threads: int,
    provider: Provider = CPU,
    kv_scales: Mapping[str, Scale] | None = None,
    memory_bytes: int = 0,
) -> ort.InferenceSession:
    """The model's session on this provider; with `kv_scales`, its keys and values are int8.

    Args:
        memory_bytes: of the machine, as far as this app may use it; 0 where that is not known.

    Raises:
        ModelLoadFailed: onnxruntime refuses the graph or its weights.
        ModelUnsupported: there are scales, but the graph is none that they can be put into.
    """
    options = session_options(threads)
    if not memory_bytes or weight_bytes(folder) * _PACKED_AT_ONCE_FACTOR < memory_bytes:
        _pack_at_once(options)
    return _open(folder, name, options, provider, kv_scales, memory_bytes)


def open_packed(
    folder: ModelFolder,
    threads: int,
    packed: PackedWeights,
    machine: str,
    memory_bytes: int = 0,
) -> ort.InferenceSession | None:
    """The session of the model's packed form; None where there is none. One that cannot be loaded is removed."""
    if not folder.data_files:
        return None
    origin = model_origin(folder, machine)
    file = packed.find(origin)
    if file is None:
        return None
    data = file.with_name(DATA_FILE)
    options = session_options(threads)
    # onnxruntime packs each weight again, to find its packed form by what comes of it. The copy is gone at once, so
    # that several at a time take little memory.
    _pack_at_once(options)
    try:
        with _ahead([data], memory_bytes):
            return CPU.open(str(file), options)
    except Exception as error:  # noqa: BLE001 (onnxruntime's exceptions share no base but Exception)
        log.warning("the packed weights in %s are removed: %s", file.parent, first_line(error))
        packed.drop(origin)
        return None


def write_optimized(folder: ModelFolder, name: str, graph: Path, data: str, threads: int) -> None:
    """Write the model's graph as onnxruntime optimizes it, and all its weights, raw, to the file `data` beside it.

    Raises:
        ModelLoadFailed: onnxruntime refuses the graph or its weights, or cannot write.
    """
    options = session_options(threads)
    options.add_session_config_entry("session.disable_prepacking", "1")
    save_beside(options, graph, data, packs=False)
    _open(folder, name, options, CPU, None, 0)


def save_beside(options: ort.SessionOptions, graph: Path, data: str, *, packs: bool) -> None:
    """Have a session write its optimized graph, and its weights to the file `data` beside it, reordered ones too."""
    options.optimized_model_filepath = str(graph)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", data),
        ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", str(int(packs))),
    ):
        options.add_session_config_entry(key, value)


def _pack_at_once(options: ort.SessionOptions) -> None:
    """All threads reorder weights for the kernels, not one: half the time on two cores, and no more private memory."""
    options.add_session_config_entry("session.prepack.enable_parallel", "1")


def model_origin(folder: ModelFolder, machine: str) -> Origin:
    """What a packed form of this model would be made of, here and now."""
    graph = _rewritten_graph(folder, folder.path.name, None)
    return Origin(
        model=model_digest(folder),
        graph=hashlib.sha256(graph or b"").hexdigest()[:32],
        onnxruntime=ort.__version__,
        machine=machine,
    )


def first_line(error: Exception) -> str:
    """What onnxruntime says, without the lines that only its makers read."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def session_options(threads: int) -> ort.SessionOptions:
    """How every session runs: with this many threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A memory pattern is kept for every shape ever run, and chunked prefill runs many.
    options.enable_mem_pattern = False
    return options


def _open(
    folder: ModelFolder,
    name: str,
    options: ort.SessionOptions,
    provider: Provider,
    kv_scales: Mapping[str, Scale] | None,
    memory_bytes: int,
) -> ort.InferenceSession:
    graph = _rewritten_graph(folder, name, kv_scales)
    if graph is not None:
        graph, place = _with_real_places(graph, folder)
        # Where the weights lie, which the path would have told.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(place))
    try:
        with _ahead(folder.data_files, memory_bytes):
            return provider.open(str(folder.graph_file) if graph is None else graph, options)
    except Exception as error:  # onnxruntime's exceptions share no base but Exception
        raise ModelLoadFailed(name=name, reason=first_line(error)) from error


def _with_real_places(graph: bytes, folder: ModelFolder) -> tuple[bytes, Path]:
    """The graph with its weights where links lead, and the folder that they are named in.

    onnxruntime follows no link out of that folder for a graph that is given as bytes. Which links may lead out, as from
    a snapshot in the cache of Hugging Face's tools to its blobs, was decided when the model's folder was opened.
    """
    beside = folder.graph_file.parent
    real = {file: Path(os.path.realpath(file)) for file in folder.data_files}
    places = {file.parent for file in real.values()}
    if len(places) != 1 or places == {Path(os.path.realpath(beside))}:
        return graph, beside
    import onnx  # costs memory, and models whose files are links are few

    model = onnx.load_model_from_string(graph)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = real[beside / entry.value].name
    rewritten: bytes = model.SerializeToString()
    return rewritten, places.pop()


def _ahead(files: Sequence[Path], memory_bytes: int) -> AbstractContextManager[None]:
    return read_ahead(files) if is_worth_reading_ahead(files, memory_bytes) else nullcontext()


def _rewritten_graph(folder: ModelFolder, name: str, kv_scales: Mapping[str, Scale] | None) -> bytes | None:
    """The graph as it is run; None where that is the file itself."""
    # A graph that holds its weights itself is left alone: rewriting it would copy all of them.
    is_small = bool(folder.data_files) and folder.graph_file.stat().st_size <= _REWRITTEN_MAX_BYTES
    original = model = folder.graph_file.read_bytes() if is_small else None
    decoder = folder.config.model.decoder
    if kv_scales is not None:
        layers = range(decoder.num_hidden_layers)
        templates = (decoder.outputs.present_key_names, decoder.outputs.present_value_names)
        presents = frozenset(template.replace("%d", str(layer)) for layer in layers for template in templates)
        model = None if model is None else with_int8_cache(model, kv_scales, presents)
        if model is None:
            raise ModelUnsupported(name=name, reason=tr("its graph cannot keep keys and values as int8"))
    if model is None:
        return None
    model = with_positions(model, decoder.outputs.logits) or model
    model = with_lean_loading(model)
    return None if model is original else model
