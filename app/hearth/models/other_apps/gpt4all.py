"""Models of GPT4All: GGUF files in one folder.

As in GPT4All's sources, `mysettings.cpp` and `main.cpp`: the folder is Qt's local data of the program GPT4All by
nomic.ai, unless `modelPath` in its INI file names another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hearth.models.names import clean_name
from hearth.models.other_apps.app_folder import AppFolder
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.model_files import find_gguf, gguf_name
from hearth.models.other_apps.places import Places

_INI_MAX_BYTES = 1 << 20
_MODEL_PATH = re.compile(r"^modelPath=\"?(.*?)\"?$", re.MULTILINE)


class Gpt4All:
    """See `OtherApp`."""

    id = "gpt4all"
    title = "GPT4All"

    def find(self, places: Places) -> Iterator[FoundModel]:
        for folder in _folders(places):
            for files in find_gguf(AppFolder(folder), folder):
                yield FoundModel(
                    app=self.id,
                    name=files.path.name,
                    good_name=clean_name(gguf_name(files.path)),
                    path=files.path,
                    format=Format.GGUF,
                    bytes=files.bytes,
                )


def _folders(places: Places) -> list[Path]:
    folders = [places.local_data / "nomic.ai" / "GPT4All"]
    settings = places.config / "nomic.ai"
    match = _MODEL_PATH.search(AppFolder(settings).text(settings / "GPT4All.ini", _INI_MAX_BYTES))
    if match and Path(match[1]).is_absolute():
        folders.insert(0, Path(match[1]))
    return list(dict.fromkeys(folders))
