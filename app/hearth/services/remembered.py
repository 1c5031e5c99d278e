"""Names of values that fronts remember in the database and that services must know of."""

from __future__ import annotations

from typing import Final

# The model that was last chosen in the window.
LAST_MODEL: Final = "window.last_model"
