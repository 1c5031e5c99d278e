"""How much the rounding of activations moves the logits, which is what speed is bought with.

The reference is the same graph with the same weights and `accuracy_level` 1, which has onnxruntime's `MatMulNBits`
compute with float32 activations.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from hearth.child_process import child_environment
from hearth.engine.host.protocol import EngineOptions
from hearth.engine.relative_error import relative_error
from hearth.model_folder.folder import ModelFolder
from hearth.paths import home
from hearth.services.benchmark.logits import Question
from hearth.services.benchmark.side import Forced

log = logging.getLogger(__name__)

# An integer attribute as protobuf writes it: its name (field 1), then its value (field 3), which is one byte.
_ATTRIBUTE = b"\x0a\x0eaccuracy_level\x18"
_ROUNDED, _FLOAT32 = b"\x04", b"\x01"


def hearth_noise(folder: ModelFolder, options: EngineOptions, forced: Forced) -> float | None:
    """The noise of a model folder; None where it cannot be measured here."""
    if getattr(sys, "frozen", False):  # the packaged app has no interpreter to run `logits` with
        return None
    rounded = folder.graph_file.read_bytes()
    exact = rounded.replace(_ATTRIBUTE + _ROUNDED, _ATTRIBUTE + _FLOAT32)
    if exact == rounded:
        return 0.0
    try:
        # In the home folder, which is most likely on the model's disk, so that the twin need not be a copy.
        with tempfile.TemporaryDirectory(prefix="noise-", dir=home()) as name:
            place = Path(name)
            twin = _twin(folder, exact, place / "exact")
            question = Question(str(folder.path), options.threads, forced, str(place / "rounded.npy"))
            rows = _logits(question)
            return relative_error(rows, _logits(msgspec.structs.replace(question, folder=str(twin))))
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the noise of %s cannot be measured: %s", folder.path, error)
        return None


def _twin(folder: ModelFolder, graph: bytes, target: Path) -> Path:
    """The same model with another graph."""
    for file in folder.files():
        copy = target / file.relative_to(folder.path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if file == folder.graph_file:
            copy.write_bytes(graph)
            continue
        source = os.path.realpath(file)
        try:
            # Not a symbolic link: it would lead out of the folder.
            os.link(source, copy)
        except OSError:  # another disk, or one that has no links
            shutil.copyfile(source, copy)
    return target


def _logits(question: Question) -> np.ndarray:
    subprocess.run(
        [sys.executable, "-P", "-m", "hearth.services.benchmark.logits"],
        input=msgspec.json.encode(question) + b"\n",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        env=child_environment(),
    )
    rows: np.ndarray = np.load(question.out)
    return rows
