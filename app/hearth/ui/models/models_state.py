"""Where the window Models lay when it was last closed, and how its list was sorted."""

from __future__ import annotations

from hearth.ui.side_window_state import SideWindowState

_STATE = SideWindowState("models", "order", (1020, 740))
restore, save = _STATE.restore, _STATE.save
