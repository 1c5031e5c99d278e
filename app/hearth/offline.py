"""`HEARTH_OFFLINE` forbids every connection to another machine."""

from __future__ import annotations

import os


def is_offline() -> bool:
    """Whether it is set to anything but nothing, 0, false or no."""
    return os.environ.get("HEARTH_OFFLINE", "").lower() not in ("", "0", "false", "no")
