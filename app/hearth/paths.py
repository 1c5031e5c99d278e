"""Where Hearth keeps its files. `HEARTH_HOME` overrides all of it.

Everything lives under one home folder: `hearth.db`, `config.toml`, `models/`, `kept/`, `scales/`,
`packed/`, `logs/`. Resources (icons,
translations, themes) are read-only and travel with the program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder of this user's Hearth; it need not exist yet."""
    override = os.environ.get("HEARTH_HOME")
    if override:
        return Path(override).expanduser().absolute()
    return Path(platformdirs.user_data_dir("Hearth", appauthor=False))


def database_file() -> Path:
    return home() / "hearth.db"


def config_file() -> Path:
    return home() / "config.toml"


def models_folder() -> Path:
    return home() / "models"


def kept_context_folder() -> Path:
    """Keys and values of recent conversations; see `engine/kv_store.py`."""
    return home() / "kept"


def kv_scales_folder() -> Path:
    """What was measured of each model for int8 keys and values; see `engine/kv_scales.py`."""
    return home() / "scales"


def packed_weights_folder() -> Path:
    """Weights of models, packed for this machine; see `engine/packed_weights.py`."""
    return home() / "packed"


def log_file() -> Path:
    return home() / "logs" / "hearth.log"


def resource(*parts: str) -> Path:
    """A read-only file that travels with the program."""
    packaged = getattr(sys, "_MEIPASS", None)  # set by PyInstaller in the packaged app
    if packaged:
        return Path(packaged, "resources", *parts)
    inside_wheel = Path(__file__).parent / "_resources"
    root = inside_wheel if inside_wheel.is_dir() else Path(__file__).parents[2] / "resources"
    return root.joinpath(*parts)
