"""`python -m hearth.quantize`: builds a model, in a process of its own."""

from __future__ import annotations

import os
import sys


def main() -> int:
    """Do the job on standard input; the exit code."""
    from hearth.quantize.job import serve

    code = serve()
    sys.stderr.flush()
    os._exit(code)  # the thread that waits for the caller's end would not let go


if __name__ == "__main__":
    main()
