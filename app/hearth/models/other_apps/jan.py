"""Models of Jan: `<data>/llamacpp/models/<id>/model.yml`, which names the GGUF file; an id may have slashes.

As in Jan's sources: `src-tauri/src/core/app/commands.rs` (the data folder stands as `data_folder` in `settings.json`
of the folder `Jan` in the user's data, older ones in `jan.ai.app` or, on Linux, in the configuration; the default is
`Jan/data`; JAN_DATA_FOLDER comes first) and `extensions/llamacpp-extension` (`model_path` counts from the data folder,
or is absolute for a file that was imported where it lies). Older versions keep GGUF files in `~/jan/models` and
`<data>/models`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hearth.models.names import clean_name
from hearth.models.other_apps.app_folder import AppFolder, printable
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.model_files import ModelFiles, find_gguf, gguf_name
from hearth.models.other_apps.places import Places

log = logging.getLogger(__name__)

_YAML_MAX_BYTES = 64 << 10
_MOST_LEVELS = 4


class _Settings(msgspec.Struct):
    data_folder: str = ""


class _Model(msgspec.Struct):
    """`model.yml`."""

    model_path: str
    name: str = ""


class Jan:
    """See `OtherApp`."""

    id = "jan"
    title = "Jan"

    def find(self, places: Places) -> Iterator[FoundModel]:
        seen: set[Path] = set()
        for data in _data_folders(places):
            app = AppFolder(data)
            for id_, files in (*_current(app), *_older(app, data / "models")):
                if files.path not in seen:
                    seen.add(files.path)
                    yield FoundModel(
                        app=self.id,
                        name=printable(id_),
                        good_name=clean_name(
                            gguf_name(files.path) if id_.endswith(".gguf") else Path(id_).name
                        ),
                        path=files.path,
                        format=Format.GGUF,
                        bytes=files.bytes,
                        source=printable(id_),
                    )


def _data_folders(places: Places) -> list[Path]:
    folders = [places.variable("JAN_DATA_FOLDER")]
    for home in (places.data / "Jan", places.data / "jan.ai.app", places.config / "Jan"):
        settings = AppFolder(home).json(home / "settings.json", _Settings)
        if settings is not None and Path(settings.data_folder).is_absolute():
            folders.append(Path(settings.data_folder))
    folders += [places.data / "Jan" / "data", places.home / "jan"]
    return [folder for folder in dict.fromkeys(folders) if folder is not None]


def _current(app: AppFolder) -> Iterator[tuple[str, ModelFiles]]:
    models = app.path / "llamacpp" / "models"
    for folder in _folders_below(app, models):
        model = _read(app, folder / "model.yml")
        file = None if model is None else _file(app, model.model_path)
        if file is not None:
            found = next(
                (files for files in find_gguf(AppFolder(file.parent), file.parent) if files.path == file),
                None,
            )
            if found is not None:
                yield folder.relative_to(models).as_posix(), found


def _older(app: AppFolder, models: Path) -> Iterator[tuple[str, ModelFiles]]:
    for folder in (models, *_folders_below(app, models)):
        for files in find_gguf(app, folder):
            yield files.path.relative_to(models).as_posix(), files


def _folders_below(app: AppFolder, folder: Path, levels: int = _MOST_LEVELS) -> Iterator[Path]:
    for child in app.folders(folder):
        yield child
        if levels > 1:
            yield from _folders_below(app, child, levels - 1)


def _read(app: AppFolder, file: Path) -> _Model | None:
    text = app.text(file, _YAML_MAX_BYTES)
    if not text:
        return None
    from yaml import YAMLError  # late: only who has Jan needs it

    from hearth.models.other_apps.plain_yaml import read_yaml

    try:
        return msgspec.convert(read_yaml(text), _Model)
    except (msgspec.ValidationError, YAMLError, RecursionError, ValueError) as error:
        log.info("%s is left out: %s", file, error)
        return None


def _file(app: AppFolder, location: str) -> Path | None:
    """The GGUF file of a model: in the data folder, or where the user had it when it was imported."""
    file = Path(location)
    if not file.is_absolute():
        return app.path / file if app.has(app.path / file) else None
    outside = AppFolder(file.parent)
    return file if ".." not in file.parts and outside.has(file) else None
