"""Models that are brought in from the window Models: those of other apps, those of a server, and the ways out of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import keyring
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from app_layouts import cached_snapshot, ollama_model
from key_stores import KeyStore
from models_desk import ModelsDesk

OLLAMA = "ollama/stories:latest"
CHECKPOINT = "hugging-face/org/original"
KEY = "a key"


class Handler(BaseHTTPRequestHandler):
    """Lists two models to whoever has the key."""

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"Bearer {KEY}"
        listed = {"data": [{"id": "org/tiny"}, {"id": "org/large"}]}
        body = json.dumps(listed if allowed else {"error": "no"}).encode()
        status = 200 if allowed else 401
        self.send_response(status if self.path == "/v1/models" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of somebody who has used other apps; still empty."""
    home = tmp_path / "user"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    for name in (
        "XDG_DATA_HOME",
        "XDG_CONFIG_HOME",
        "XDG_CACHE_HOME",
        "OLLAMA_MODELS",
        "HF_HOME",
        "HF_HUB_CACHE",
    ):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def desk(others: Path, open_window: Callable[..., Any], qtbot: QtBot) -> ModelsDesk:
    return ModelsDesk(open_window().window, qtbot)


def test_a_model_of_another_app_is_added_with_one_click_and_its_files_stay(
    desk: ModelsDesk, others: Path, stories_gguf: Path, shared_data: Path
) -> None:
    page = desk.window.others
    desk.click(desk.window.sidebar.others_button)
    desk.wait(lambda: page.empty.isVisible() and "Ollama" in page.empty.text())
    ollama_model(
        others / ".ollama" / "models", "registry.ollama.ai/library/stories/latest", stories_gguf.read_bytes()
    )
    cached_snapshot(
        others / ".cache" / "huggingface" / "hub", "org/original", shared_data / "models" / "stories260k"
    )
    before = sorted(others.rglob("*"))
    desk.click(page.look_button)
    desk.wait(lambda: set(page.rows) == {OLLAMA, CHECKPOINT})
    desk.click(page.rows[OLLAMA].button)
    desk.wait(lambda: page.rows[OLLAMA].button.text() == "Show")
    assert page.rows[OLLAMA].button.hasFocus()
    assert desk.names() == ["stories"]
    desk.wait(lambda: desk.main.models.current == "stories")
    desk.click(page.rows[OLLAMA].button)
    desk.wait(lambda: desk.window.page.isVisible() and desk.window.page.name == "stories")
    assert desk.window.page.badges["in_place"].text() == "Ollama"
    desk.click(desk.window.page.remove_button)
    desk.wait(lambda: desk.names() == [])
    assert sorted(others.rglob("*")) == before


def test_of_an_unquantized_model_of_another_app_a_model_is_made(
    desk: ModelsDesk, others: Path, shared_data: Path
) -> None:
    page = desk.window.others
    cached_snapshot(
        others / ".cache" / "huggingface" / "hub", "org/original", shared_data / "models" / "stories260k"
    )
    desk.click(desk.window.sidebar.others_button)
    desk.wait(lambda: set(page.rows) == {CHECKPOINT})
    desk.click(page.rows[CHECKPOINT].button)
    desk.wait(lambda: not page.rows[CHECKPOINT].button.isEnabled())
    assert "“original” is being made" in page.rows[CHECKPOINT].how.text()
    (install,) = desk.hearth.installs.list()
    assert (install.name, Path(install.repository).is_dir()) == ("original", True)
    desk.wait(desk.main.install_strip.isVisible)
    desk.hearth.installs.cancel(install.id)


def test_a_model_of_a_server_is_chosen_from_its_list_and_marked_as_remote(
    desk: ModelsDesk, address: str, store: KeyStore
) -> None:
    desk.window.sidebar.server_action.trigger()
    dialog = desk.window.dialog
    assert dialog is not None
    assert not dialog.find_button.isEnabled()
    dialog.address.setText("http://llm.example.org/v1")
    assert "goes to llm.example.org" in dialog.warning.text()
    assert "not encrypted" in dialog.warning.text()
    dialog.address.setText(address)
    assert "on this computer" in dialog.warning.text()
    dialog.key.setText("a wrong key")
    desk.click(dialog.find_button)
    desk.wait(dialog.error)
    assert dialog.error() == "The server of 127.0.0.1 refused the key."
    assert dialog.key.selectedText()
    dialog.key.setText(KEY)
    desk.click(dialog.find_button)
    desk.wait(lambda: dialog.model.count() == 2)
    desk.wait(dialog.model.view().isVisible)
    dialog.model.hidePopup()
    dialog.model.setCurrentIndex(1)
    assert dialog.name.text() == "tiny"
    desk.click(dialog.add_button)
    desk.wait(lambda: desk.names() == ["tiny"])
    desk.wait(lambda: desk.window.page.isVisible() and desk.window.page.name == "tiny")
    assert desk.window.page.badges["format"].text() == "Remote"
    assert list(store.keys.values()) == [KEY]
    desk.wait(lambda: "remote" in desk.main.picker.text())
    assert f"It goes to {address}" in desk.main.empty.text()
    desk.click(desk.window.page.key_button)
    desk.wait(lambda: desk.window.findChild(QInputDialog))
    question = desk.window.findChild(QInputDialog)
    question.setTextValue("another key")
    question.accept()
    desk.wait(lambda: list(store.keys.values()) == ["another key"])
    desk.wait_said("new key")


def test_an_address_may_come_without_its_scheme_and_enter_lists_the_models(
    desk: ModelsDesk, address: str, store: KeyStore, qtbot: QtBot
) -> None:
    desk.window.sidebar.server_action.trigger()
    dialog = desk.window.dialog
    assert dialog is not None
    for typed, encrypted in (("llm.example.org", True), ("192.168.1.5:11434/v1", False), ("box:80", False)):
        dialog.address.setText(typed)
        assert f"goes to {typed.partition(':')[0]}" in dialog.warning.text()
        assert ("not encrypted" not in dialog.warning.text()) is encrypted
    for unfinished in ("h", "https", "https:", "https:/"):
        dialog.address.setText(unfinished)
        assert not dialog.find_button.isEnabled()
    dialog.address.setText(address.removeprefix("http://"))
    dialog.key.setText(KEY)
    qtbot.keyClick(dialog.key, Qt.Key.Key_Return)
    desk.wait(lambda: dialog.model.count() == 2)
    desk.wait(dialog.model.view().isVisible)
    dialog.model.hidePopup()
    dialog.address.setText(address.removesuffix("/v1"))
    desk.click(dialog.find_button)
    desk.wait(lambda: "/v1" in dialog.error())
    dialog.address.setText(address)
    desk.click(dialog.find_button)
    desk.wait(lambda: dialog.model.count() == 2 and dialog.add_button.isEnabled())
    desk.wait(dialog.model.view().isVisible)
    dialog.model.hidePopup()
    qtbot.keyClick(dialog.address, Qt.Key.Key_Return)
    desk.wait(lambda: len(desk.names()) == 1)
    assert desk.hearth.models.list()[0].manifest.remote.address == address


def test_a_server_without_a_key_store_is_not_added(desk: ModelsDesk, address: str) -> None:
    from keyring.backends import fail

    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        desk.window.sidebar.server_action.trigger()
        dialog = desk.window.dialog
        assert dialog is not None
        dialog.address.setText(address)
        dialog.key.setText(KEY)
        dialog.model.setEditText("org/tiny")
        desk.click(dialog.add_button)
        desk.wait(dialog.error)
        assert "key" in dialog.error()
        assert desk.hearth.models.list() == []
        desk.click(dialog.cancel_button)
        desk.wait(lambda: desk.window.dialog is None)
    finally:
        keyring.set_keyring(before)


def test_offline_no_server_is_asked(desk: ModelsDesk, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_OFFLINE", "1")
    desk.window.sidebar.server_action.trigger()
    dialog = desk.window.dialog
    assert dialog is not None
    dialog.address.setText(address)
    desk.click(dialog.find_button)
    desk.wait(dialog.error)
    assert "HEARTH_OFFLINE" in dialog.error()
    dialog.reject()
    desk.wait(lambda: desk.window.dialog is None)


def test_other_ways_to_add_a_model_lead_to_the_main_window(desk: ModelsDesk, qtbot: QtBot) -> None:
    windows = desk.main.side_windows
    with qtbot.waitSignal(windows.import_wanted):
        desk.window.sidebar.import_action.trigger()
    with qtbot.waitSignal(windows.file_wanted):
        desk.window.sidebar.file_action.trigger()
    with qtbot.waitSignal(windows.add_model_wanted):
        desk.click(desk.window.sidebar.add_button)
