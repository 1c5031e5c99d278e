"""What every test stands on: a home of its own, English texts, no display, and the shared test data where it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything imports Qt. A developer who wants to watch asks for it: QT_QPA_PLATFORM=xcb make test ARGS="-n 0"
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import hypothesis
import keyring
import pytest

from hearth import i18n
from key_stores import KeyStore

# A slow machine is no failure: no deadline, and no complaint about slow generation.
hypothesis.settings.register_profile(
    "hearth", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("hearth")


@pytest.fixture(autouse=True)
def hearth_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder of this test; like a new user's, it does not exist yet."""
    home = tmp_path / "home"
    monkeypatch.setenv("HEARTH_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_starter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test begins without a model, so Hearth's own is hidden; `built_in_folders` is where to bring one in."""
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: ())


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts are English here and in every process that the test starts, whatever the machine speaks."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(variable, "C.UTF-8")
    monkeypatch.delenv("LANGUAGE", raising=False)
    i18n.use_language("en")


@pytest.fixture
def store() -> Iterator[KeyStore]:
    """The key store, in memory."""
    before, store = keyring.get_keyring(), KeyStore()
    keyring.set_keyring(store)
    yield store
    keyring.set_keyring(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real models, tokenizers and texts beside the clone; it is never part of it."""
    override = os.environ.get("HEARTH_TEST_DATA")
    folder = Path(override) if override else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            "the shared test data is absent: no folder ../shared/data, and HEARTH_TEST_DATA is not set"
        )
    return folder


@pytest.fixture(scope="session")
def stories_float32(shared_data: Path) -> Path:
    """A real story model of 260,000 parameters, in float32, as an onnxruntime-genai folder."""
    return _model(shared_data, "float32")


@pytest.fixture(scope="session")
def stories_int8(shared_data: Path) -> Path:
    """The same model with int8 weights."""
    return _model(shared_data, "int8")


@pytest.fixture(scope="session")
def stories_gguf(shared_data: Path) -> Path:
    """The same model as a GGUF file, in float32."""
    file = shared_data / "models" / "stories260k.gguf"
    if not file.is_file():
        pytest.skip("the shared test data has no models/stories260k.gguf")
    return file


def _model(shared_data: Path, precision: str) -> Path:
    folder = shared_data / "models" / "stories260k-onnx" / precision
    if not folder.is_dir():
        pytest.skip(f"the shared test data has no models/stories260k-onnx/{precision}")
    return folder
