"""Which backend runs which format. Each is imported where it is needed, so that a host carries no other one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from hearth.engine.backend import Backend
from hearth.engine.host.protocol import Load
from hearth.errors import ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.manifest import GENAI, GGML, GGUF, REMOTE

_IMPORTS = ("hearth.engine.ort_backend", "hearth.engine.chat_template")


def load_backend(load: Load, on_preparing: Callable[[float], None]) -> Backend:
    """Check the model and load it; `on_preparing` hears how far it is where that takes more than reading weights.

    Raises:
        HearthError: it cannot be loaded.
    """
    if load.format == GENAI:
        return _load_folder(load, on_preparing)
    if load.format == GGUF:
        from hearth.engine.llama_cpp_backend import LlamaCppBackend
        from hearth.model_folder.gguf_file import read_gguf

        return LlamaCppBackend(read_gguf(Path(load.folder)), load.name, load.options)
    if load.format == GGML:
        from hearth.engine.ctransformers_backend import CTransformersBackend

        return CTransformersBackend(Path(load.folder), load.name, load.architecture, load.options)
    if load.format == REMOTE and load.remote is not None:
        from hearth.engine.remote_backend import RemoteBackend

        return RemoteBackend(load.remote, load.name, load.secret, load.options)
    raise ModelUnsupported(name=load.name, reason=tr("its format “{name}” is unknown", name=load.format))


def import_backend() -> None:
    """What the models need that most people run, before it is known which one that is."""
    for name in _IMPORTS:
        import_module(name)


def _load_folder(load: Load, on_preparing: Callable[[float], None]) -> Backend:
    """A folder in onnxruntime-genai's format."""
    from hearth.engine.ort_backend import OrtBackend
    from hearth.model_folder.folder import ModelFolder

    folder = ModelFolder.open(Path(load.folder), [Path(root) for root in load.roots])

    def open_draft_folder() -> ModelFolder | None:
        if not load.draft_folder:
            return None
        return ModelFolder.open(Path(load.draft_folder), [Path(root) for root in load.draft_roots])

    return OrtBackend(folder, load.name, load.options, open_draft_folder, load.roots, on_preparing)
