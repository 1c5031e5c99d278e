"""Models in the cache of the Hugging Face hub, which many programs share, llama.cpp among them.

As the hub's page "Hub Local Cache" describes it: HF_HUB_CACHE, else `hub` in HF_HOME, else in `huggingface` of the
user's cache.

    models--<organization>--<name>/refs/<branch>              the commit that a branch is at
    models--<organization>--<name>/snapshots/<commit>/<file>  a link to a blob, or a file where links cannot be made
    models--<organization>--<name>/blobs/<hash>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hearth.models.names import clean_name, suggest_name
from hearth.models.other_apps.app_folder import AppFolder
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.model_files import ModelFiles, find_folder, find_gguf, gguf_name, licence_of
from hearth.models.other_apps.places import Places

_PREFIX = "models--"
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Repositories of models for onnxruntime-genai have a folder for each device, such as cpu_and_mobile/cpu-int4.
_MOST_LEVELS = 3


class HuggingFace:
    """See `OtherApp`."""

    id = "hugging-face"
    title = "Hugging Face"

    def find(self, places: Places) -> Iterator[FoundModel]:
        for folder in _caches(places):
            for repository in AppFolder(folder).folders():
                if repository.name.startswith(_PREFIX):
                    yield from _models(repository)


def _caches(places: Places) -> list[Path]:
    named = places.variable("HF_HUB_CACHE") or places.variable("HUGGINGFACE_HUB_CACHE")
    home = places.variable("HF_HOME") or places.cache / "huggingface"
    return list(dict.fromkeys((named or home / "hub", home / "hub")))


def _models(repository: Path) -> Iterator[FoundModel]:
    app = AppFolder(repository)
    source = repository.name.removeprefix(_PREFIX).replace("--", "/")
    snapshot = _snapshot(app)
    if snapshot is None or not source.isprintable():
        return
    licence = licence_of(app, snapshot)
    for files in _files(app, snapshot, _MOST_LEVELS):
        inside = files.path.relative_to(snapshot).as_posix()
        yield FoundModel(
            app=HuggingFace.id,
            name=source if inside == "." else f"{source}/{inside}",
            good_name=_good_name(files, repository),
            path=files.path,
            format=files.format,
            bytes=files.bytes,
            kind=files.kind,
            licence=licence,
            source=source,
            revision=snapshot.name,
        )


def _snapshot(app: AppFolder) -> Path | None:
    """What the branch `main` is at, or else what came last."""
    commit = app.text(app.path / "refs" / "main", 100).strip()
    snapshots = [folder for folder in app.folders(app.path / "snapshots") if _COMMIT.fullmatch(folder.name)]
    at_main = (folder for folder in snapshots if folder.name == commit)
    return next(at_main, max(snapshots, key=_changed, default=None))


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _files(app: AppFolder, folder: Path, levels: int) -> Iterator[ModelFiles]:
    yield from find_gguf(app, folder)
    whole = find_folder(app, folder)
    if whole is not None:
        yield whole
    if levels:
        for child in app.folders(folder):
            yield from _files(app, child, levels - 1)


def _good_name(files: ModelFiles, repository: Path) -> str:
    if files.format is Format.GGUF:
        return clean_name(gguf_name(files.path))
    if files.format is Format.CHECKPOINT:
        return clean_name(repository.name.rpartition("--")[2])
    return suggest_name(files.path, ())
