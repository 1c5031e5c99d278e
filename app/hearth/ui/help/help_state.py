"""Where the help window lay when it was last closed, and which page it showed."""

from __future__ import annotations

from hearth.ui.side_window_state import SideWindowState

_STATE = SideWindowState("help", "page", (1000, 720))
restore, save = _STATE.restore, _STATE.save
