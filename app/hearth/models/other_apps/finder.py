"""All models of other apps that are on this machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from hearth.models.other_apps.found_model import Format, FoundModel, OtherApp
from hearth.models.other_apps.gpt4all import Gpt4All
from hearth.models.other_apps.hugging_face import HuggingFace
from hearth.models.other_apps.jan import Jan
from hearth.models.other_apps.lm_studio import LmStudio
from hearth.models.other_apps.ollama import Ollama
from hearth.models.other_apps.places import Places

log = logging.getLogger(__name__)

APPS: tuple[OtherApp, ...] = (Ollama(), LmStudio(), Jan(), Gpt4All(), HuggingFace())


def find_models(
    places: Places | None = None, is_quantizable: Callable[[str], bool] = lambda _: True
) -> list[FoundModel]:
    """Every model of every app, each file once; reads folders and small files only, and changes nothing.

    Args:
        is_quantizable: whether a checkpoint with that `model_type` can be quantized; others are left out.
    """
    places = places or Places()
    found: list[FoundModel] = []
    seen: set[str] = set()
    for app in APPS:
        try:
            for model in app.find(places):
                place = os.path.realpath(model.path)
                if place not in seen and (
                    model.format is not Format.CHECKPOINT or is_quantizable(model.kind)
                ):
                    seen.add(place)
                    found.append(model)
        except OSError as error:
            log.warning("The models of %s cannot be listed: %s", app.title, error)
    return found


def app_title(id_: str) -> str:
    """The name of the app with this id."""
    return next((app.title for app in APPS if app.id == id_), id_)
