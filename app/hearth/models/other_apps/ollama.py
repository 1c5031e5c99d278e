"""Models of Ollama: a store of blobs, and a manifest for each model that names its layers.

Layout as in Ollama's own sources: `manifest/paths.go` and `manifest/manifest.go` (names, digests, the newer
`manifests-v2` whose manifests are links to blobs, lists of manifests for several runners), `envconfig/config.go`
(OLLAMA_MODELS) and `types/model/name.go` (registry/namespace/model/tag). The service for Linux has the home folder
`/usr/share/ollama`.

    <models>/manifests/<registry>/<namespace>/<model>/<tag>    JSON with layers: mediaType, digest, size
    <models>/blobs/sha256-<64 hexadecimal digits>              one layer each
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hearth.models.names import clean_name
from hearth.models.other_apps.app_folder import AppFolder, printable
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.model_files import GGUF_MAGIC
from hearth.models.other_apps.places import Places

_DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
_KIND = "application/vnd.ollama.image."
_TEXT_MAX_BYTES = 1 << 20
_REGISTRY, _NAMESPACE = "registry.ollama.ai", "library"
_RUNNERS = ("ollama", "llamacpp")
# Names of Ollama's parameters for those that Hearth knows.
_SAMPLING = {
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p")},
    **{name: name for name in ("presence_penalty", "frequency_penalty")},
    "repeat_penalty": "repetition_penalty",
}


class _Layer(msgspec.Struct, rename="camel"):
    media_type: str = ""
    digest: str = ""
    size: int = 0


class _Manifest(msgspec.Struct):
    """One manifest; in a list of them it may be a digest only, under which it lies among the blobs."""

    layers: list[_Layer] = []
    manifests: list[_Manifest] = []
    runner: str = ""
    digest: str = ""


class Ollama:
    """See `OtherApp`."""

    id = "ollama"
    title = "Ollama"

    def find(self, places: Places) -> Iterator[FoundModel]:
        seen: set[str] = set()
        for folder in _stores(places):
            store = AppFolder(folder)
            for manifests in ("manifests-v2", "manifests"):
                for file in _manifest_files(store, folder / manifests):
                    found = _model(store, file)
                    if found is not None and found.name not in seen:
                        seen.add(found.name)
                        yield found


def _stores(places: Places) -> list[Path]:
    stores = [places.variable("OLLAMA_MODELS"), places.home / ".ollama" / "models"]
    if places.system == "linux":
        stores.append(places.root / "usr" / "share" / "ollama" / ".ollama" / "models")
    return [store for store in dict.fromkeys(stores) if store is not None]


def _manifest_files(store: AppFolder, manifests: Path) -> Iterator[Path]:
    for registry in store.folders(manifests):
        for namespace in store.folders(registry):
            for model in store.folders(namespace):
                yield from store.files(model)


def _model(store: AppFolder, file: Path) -> FoundModel | None:
    manifest = _runnable(store, store.json(file, _Manifest))
    if manifest is None:
        return None
    layers = {layer.media_type.removeprefix(_KIND): layer for layer in reversed(manifest.layers)}
    weights = _blob(store, layers.get("model"))
    # An adapter changes the weights, so the file alone is another model.
    if weights is None or "adapter" in layers or not store.begins_with(weights, GGUF_MAGIC):
        return None
    name = printable(_name(file))
    return FoundModel(
        app=Ollama.id,
        name=name,
        good_name=clean_name(name.rpartition("/")[2].replace(":", "-").removesuffix("-latest")),
        path=weights,
        format=Format.GGUF,
        bytes=store.size(weights),
        licence=printable(_text(store, layers.get("license")).strip().partition("\n")[0].strip()),
        source=name,
        template=_text(store, layers.get("template")),
        system_prompt=_text(store, layers.get("system")).strip(),
        sampling=_sampling(_text(store, layers.get("params"))),
    )


def _runnable(store: AppFolder, manifest: _Manifest | None) -> _Manifest | None:
    """Of a list of manifests the one for llama.cpp."""
    if manifest is None or not manifest.manifests:
        return manifest
    for runner in _RUNNERS:
        for child in manifest.manifests:
            if child.runner == runner:
                blob = None if child.layers else _blob(store, _Layer(digest=child.digest))
                return child if blob is None else store.json(blob, _Manifest)
    return None


def _blob(store: AppFolder, layer: _Layer | None) -> Path | None:
    """The layer's file; None where it is not there or has another size than the manifest says."""
    match = _DIGEST.fullmatch(layer.digest) if layer else None
    if layer is None or match is None:
        return None
    file = store.path / "blobs" / f"sha256-{match[1].lower()}"
    if not store.has(file) or (layer.size and store.size(file) != layer.size):
        return None
    return file


def _text(store: AppFolder, layer: _Layer | None) -> str:
    file = _blob(store, layer)
    return "" if file is None else store.text(file, _TEXT_MAX_BYTES)


def _sampling(text: str) -> dict[str, float]:
    """What the parameters recommend, as far as Hearth knows it; lists of stop words and the like are left out."""
    try:
        params = msgspec.json.decode(text, type=dict[str, object]) if text else {}
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {
        ours: float(value)
        for theirs, ours in _SAMPLING.items()
        if isinstance(value := params.get(theirs), int | float) and not isinstance(value, bool)
    }


def _name(file: Path) -> str:
    """As `ollama list` writes it: what goes without saying is left out."""
    registry, namespace, model, tag = file.parts[-4:]
    if registry != _REGISTRY:
        return f"{registry}/{namespace}/{model}:{tag}"
    return f"{model}:{tag}" if namespace == _NAMESPACE else f"{namespace}/{model}:{tag}"
