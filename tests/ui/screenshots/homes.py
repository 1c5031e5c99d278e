"""What the pictured window stands on: a new user's home, models, and a hub that runs here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest import mock

from adding import repositories
from hearth import paths
from hearth.model_folder.manifest import Manifest, write_manifest
from hearth.models import registry
from hub_server import HubServer

DATA = Path(__file__).parents[4] / "shared" / "data" / "models"
MODEL = DATA / "stories260k-onnx" / "float32"
GGUF = DATA / "stories260k.gguf"


@contextmanager
def home() -> Iterator[None]:
    """A new user's home, under a name that may be seen."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEARTH_HOME"] = str(Path(folder, "Hearth"))
        yield


@contextmanager
def starter() -> Iterator[None]:
    """Where the starter is not among the resources, a story model stands in for it."""
    if paths.resource("starter", "model").is_dir():
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "model")
        shutil.copytree(MODEL, model, copy_function=shutil.copyfile)
        model.chmod(0o755)
        write_manifest(model, Manifest(version=1, name="hearth-starter"))
        with mock.patch.object(registry, "built_in_folders", return_value=(model,)):
            yield


def without_starter() -> AbstractContextManager[object]:
    return mock.patch.object(registry, "built_in_folders", return_value=())


@contextmanager
def hub() -> Iterator[HubServer]:
    """A model hub on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        server = HubServer(repositories(Path(folder), GGUF))
    with server, mock.patch.dict(os.environ, {"HF_ENDPOINT": server.endpoint}):
        yield server
