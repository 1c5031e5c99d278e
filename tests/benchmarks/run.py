"""`make bench`: every benchmark of this folder, one after the other.

    make bench                              what needs no model
    make bench ARGS="--model FOLDER"        also what needs one, on a model folder in onnxruntime-genai's format
    make bench ARGS="--model FOLDER --long" also the two that take more than half an hour each

`export_model.py` makes such a folder from a checkpoint. Figures hold only on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
WITHOUT_MODEL = ("store.py", "chat_view.py", "memory.py")
WITH_MODEL = ("startup.py", "heartbeat.py", "stalls.py")
LONG = ("trace.py", "soak.py")


def main() -> int:
    arguments = argparse.ArgumentParser(description="Run every benchmark.")
    arguments.add_argument("--model", type=Path, help="a model folder in onnxruntime-genai's format")
    arguments.add_argument("--long", action="store_true", help="with a model: also what takes half an hour")
    given = arguments.parse_args()
    model: Path | None = given.model
    runs = [[name] for name in WITHOUT_MODEL]
    if model is None:
        print(f"left out, for want of --model FOLDER: {', '.join(WITH_MODEL)}", flush=True)
    else:
        names = WITH_MODEL + LONG if given.long else WITH_MODEL
        runs += [[name, str(model.absolute())] for name in names]
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ} if sys.platform == "linux" else None
    failed = []
    for name, *rest in runs:
        print(f"\n== {name} {' '.join(rest)}", flush=True)
        if subprocess.run(
            [sys.executable, str(FOLDER / name), *rest], env=environment, check=False
        ).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
