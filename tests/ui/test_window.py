"""The window: import by clicks, a story that streams, conversations, and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from hearth.conversations.message import MessageStatus, Role
from hearth.ui.conversation_list import ConversationList

from .conftest import Hand, close_window  # noqa: TID252
