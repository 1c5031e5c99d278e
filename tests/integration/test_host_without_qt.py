"""An engine host never loads Qt, even where Qt is installed and its parent has loaded it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from PySide6 import QtCore

from hearth import paths
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, Ready


@pytest.fixture
def host(stories_float32: Path) -> Iterator[HostClient]:
    """A host with its model loaded."""
    client = HostClient("stories", paths.log_file())
    try:
        folder = str(stories_float32)
        client.send(
            Load(
                version=VERSION,
                name="stories",
                folder=folder,
                roots=[],
                options=EngineOptions(threads=1, kv_cache_bytes=1 << 24),
            )
        )
        assert isinstance(client.receive(), Ready)
        yield client
    finally:
        client.close()
        client.dispose()


def libraries(process: psutil.Process) -> set[str]:
    return {Path(mapping.path).name for mapping in process.memory_maps()}


@pytest.mark.skipif(psutil.MACOS, reason="macOS does not tell which libraries a process has loaded")
def test_a_host_with_a_loaded_model_has_no_qt_library(host: HostClient) -> None:
    assert QtCore.qVersion()
    assert any("Qt6Core" in name for name in libraries(psutil.Process()))  # so it would be seen

    of_host = libraries(psutil.Process(host.pid))
    assert any("onnxruntime" in name for name in of_host)
    assert not {name for name in of_host if "Qt6" in name or "pyside" in name.lower() or "shiboken" in name}
