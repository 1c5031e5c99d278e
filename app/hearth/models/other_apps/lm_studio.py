"""Models of LM Studio: `<models>/<publisher>/<model>/<file>.gguf`, as its page "Import Models" describes.

The home folder is what `~/.lmstudio-home-pointer` names, else `~/.cache/lm-studio` of older versions, else
`~/.lmstudio` (lmstudio.js, `findLMStudioHome`). `settings.json` there has the models' folder as `downloadsFolder`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from hearth.models.names import clean_name
from hearth.models.other_apps.app_folder import AppFolder
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.model_files import find_folder, find_gguf, gguf_name, licence_of
from hearth.models.other_apps.places import Places

_POINTER_MAX_BYTES = 4096


class _Settings(msgspec.Struct, rename="camel"):
    downloads_folder: str = ""


class LmStudio:
    """See `OtherApp`."""

    id = "lm-studio"
    title = "LM Studio"

    def find(self, places: Places) -> Iterator[FoundModel]:
        for folder in _models_folders(places):
            app = AppFolder(folder)
            for publisher in app.folders():
                for model in app.folders(publisher):
                    yield from _models(app, model)


def _models_folders(places: Places) -> list[Path]:
    pointed = AppFolder(places.home).text(places.home / ".lmstudio-home-pointer", _POINTER_MAX_BYTES).strip()
    homes = [places.home / ".lmstudio", places.home / ".cache" / "lm-studio"]
    if pointed and Path(pointed).is_absolute():
        homes.insert(0, Path(pointed))
    folders = []
    for home in homes:
        settings = AppFolder(home).json(home / "settings.json", _Settings)
        if settings is not None and Path(settings.downloads_folder).is_absolute():
            folders.append(Path(settings.downloads_folder))
        folders.append(home / "models")
    return list(dict.fromkeys(folders))


def _models(app: AppFolder, folder: Path) -> Iterator[FoundModel]:
    source = "/".join(folder.parts[-2:])
    licence = licence_of(app, folder)
    for files in find_gguf(app, folder):
        yield FoundModel(
            app=LmStudio.id,
            name=f"{source}/{files.path.name}",
            good_name=clean_name(gguf_name(files.path)),
            path=files.path,
            format=Format.GGUF,
            bytes=files.bytes,
            licence=licence,
            source=source,
        )
    whole = find_folder(app, folder)
    if whole is not None:
        yield FoundModel(
            app=LmStudio.id,
            name=source,
            good_name=clean_name(folder.name),
            path=whole.path,
            format=whole.format,
            bytes=whole.bytes,
            kind=whole.kind,
            licence=licence,
            source=source,
        )
