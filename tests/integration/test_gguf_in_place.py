"""GGUF files of other apps are found, added and run where they lie, and are still there when Hearth lets go of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app_layouts import cached_snapshot, jan_model, ollama_linked_model, ollama_model, write
from hearth.engine.sampling_params import SamplingParams
from hearth.models.other_apps.places import Places
from hearth.services import other_apps
from hearth.services.hearth import Hearth
from hearth.services.model_manager import ModelManager

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there that tests lack")

Layout = Callable[[Path, Path], object]


def _ollama(home: Path, gguf: Path) -> None:
    store = home / ".ollama" / "models"
    name = "registry.ollama.ai/library/stories/260k"
    ollama_model(store, name, gguf.read_bytes(), system="Tell a story.", params='{"temperature": 0}')


def _ollama_linked(home: Path, gguf: Path) -> None:
    ollama_linked_model(home / ".ollama" / "models", "registry.ollama.ai/library/new/1", gguf.read_bytes())


def _lm_studio(home: Path, gguf: Path) -> None:
    write(home / ".lmstudio" / "models" / "karpathy" / "stories" / "stories260k.gguf", gguf.read_bytes())


def _jan(home: Path, gguf: Path) -> None:
    shutil.copyfile(gguf, jan_model(home / ".local" / "share" / "Jan" / "data", "karpathy/stories"))


def _hugging_face(home: Path, gguf: Path) -> None:
    folder = write(home / "source" / "stories260k.gguf", gguf.read_bytes()).parent
    cached_snapshot(home / ".cache" / "huggingface" / "hub", "karpathy/stories", folder)


@pytest.fixture
def hearth() -> Iterator[Hearth]:
    hearth = Hearth.open()
    yield hearth
    hearth.close()


@pytest.mark.parametrize("lay_out", [_ollama, _ollama_linked, _lm_studio, _jan, _hugging_face])
def test_found_added_run_and_removed(
    hearth: Hearth, shared_data: Path, tmp_path: Path, lay_out: Layout
) -> None:
    pytest.importorskip("xllamacpp")
    gguf = shared_data / "models" / "stories260k.gguf"
    home = tmp_path / "user"
    lay_out(home, gguf)
    before = {file: _sum(file) for file in home.rglob("*") if file.is_file()}
    manager = ModelManager(hearth)
    (finding,) = other_apps.find(
        hearth.models, Places(home=home, environment={}, system="linux", root=tmp_path)
    )
    entry = manager.add_found(finding.model)
    assert (entry.format, entry.in_place) == ("gguf", True)
    manager.verify(entry.name)
    golden = json.loads((shared_data / "models" / "stories260k" / "golden.json").read_text())
    worker = hearth.pool.load(entry.name)
    params = SamplingParams(temperature=0, max_tokens=64, ignore_eos=True)
    tokens = [
        token for output in worker.generate(params, token_ids=[golden["bos"]]) for token in output.token_ids
    ]
    assert tokens == golden["greedy_ids"]
    manager.remove(entry.name)
    hearth.models.purge_removed()
    assert {file: _sum(file) for file in home.rglob("*") if file.is_file()} == before


def _sum(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
