"""Model folders as other apps lay them out, for tests that find what is in them."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

GGUF = b"GGUF\x03\x00\x00\x00" + bytes(56)
COMMIT = "0123456789abcdef0123456789abcdef01234567"
KIND = "application/vnd.ollama.image."


def write(path: Path, data: bytes | str = GGUF) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def ollama_blob(models: Path, data: bytes | str) -> dict[str, Any]:
    """A layer's file; gives its part of a manifest."""
    content = data.encode() if isinstance(data, str) else data
    digest = hashlib.sha256(content).hexdigest()
    write(models / "blobs" / f"sha256-{digest}", content)
    return {"digest": f"sha256:{digest}", "size": len(content)}


def ollama_model(models: Path, name: str, data: bytes = GGUF, **layers: str) -> Path:
    """A model as `ollama pull registry/namespace/model/tag` leaves it; gives the manifest."""
    entries = [{"mediaType": f"{KIND}model", **ollama_blob(models, data)}]
    entries += [{"mediaType": KIND + kind, **ollama_blob(models, text)} for kind, text in layers.items()]
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", **ollama_blob(models, "{}")}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": config,
        "layers": entries,
    }
    return write(models / "manifests" / name, json.dumps(manifest))


def ollama_linked_model(models: Path, name: str, data: bytes = GGUF) -> Path:
    """The same as newer versions have it: a link to a list of manifests for several runners, themselves blobs."""
    child = {"layers": [{"mediaType": f"{KIND}model", **ollama_blob(models, data)}]}
    other = {"layers": [{"mediaType": f"{KIND}tensor", **ollama_blob(models, "weights")}]}
    kind = "application/vnd.ollama.manifest.list.v2+json"
    runners = {"mlx": other, "llamacpp": child}
    listed = [
        {"runner": runner, "digest": ollama_blob(models, json.dumps(one))["digest"]}
        for runner, one in runners.items()
    ]
    blob = ollama_blob(models, json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": listed}))
    link = models / "manifests-v2" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../../../../blobs") / blob["digest"].replace(":", "-"))
    return link


def cached_snapshot(hub: Path, repository: str, source: Path, inside: str = ".") -> Path:
    """The files of the folder `source` as the Hugging Face cache has them; gives their folder in the snapshot."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    write(folder / "refs" / "main", COMMIT)
    place = folder / "snapshots" / COMMIT / inside
    place.mkdir(parents=True)
    up = Path(*[".."] * (2 + len(Path(inside).parts)))
    for file in source.iterdir():
        blob = folder / "blobs" / hashlib.sha256(file.read_bytes()).hexdigest()
        blob.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, blob)
        (place / file.name).symlink_to(up / "blobs" / blob.name)
    return place


def jan_model(data: Path, id_: str, **yaml: str) -> Path:
    """A model as Jan downloads it; gives the file. `yaml` replaces lines of model.yml."""
    folder = data / "llamacpp" / "models" / id_
    file = write(folder / "model.gguf")
    lines = {"model_path": f"llamacpp/models/{id_}/model.gguf", "name": id_, "size_bytes": "64", **yaml}
    write(folder / "model.yml", "".join(f"{key}: {value}\n" for key, value in lines.items()))
    return file
