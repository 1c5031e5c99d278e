"""`python -m hearth.engine.providers`: what needs ONNX Runtime, but not in the process that asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the task that the first argument names; further ones are for it."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    match arguments:
        case ["list", language]:
            from hearth.engine.providers.listing import write_listing

            write_listing(language)
        case ["try"]:
            from hearth.engine.providers.trial_process import serve

            serve()
        case _:
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
