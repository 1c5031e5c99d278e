"""A model in its plain and its packed form under memory limits: does it answer, how fast, and in what memory of its own.

    python tests/benchmarks/memory_limits.py MODEL_FOLDER [--limits 1000,700,500] [--tokens 6] [--cache FOLDER]

Each engine host runs in a control group of its own, whose limit counts cached files as well, so only root on Linux may
run this. A host that does not answer within `--seconds` is ended and told as such. Files are out of the system's cache
at the start of each run, so that all of them count in the group.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

import msgspec
from packed_weights import MB, both_forms, host

from hearth.engine.host.protocol import EngineOptions
from hearth.errors import HearthError
from hearth.model_folder.folder import ModelFolder
from hearth.services.benchmark.file_cache import evict

GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def group(limit: int) -> Iterator[Path]:
    """A control group whose processes may have `limit` bytes together; of version 1 or 2."""
    is_first = (GROUPS / "memory").is_dir()
    folder = (GROUPS / "memory" if is_first else GROUPS) / f"hearth-limit-{time.monotonic_ns()}"
    folder.mkdir()
    try:
        file = folder / ("memory.limit_in_bytes" if is_first else "memory.max")
        file.write_text(str(limit))
        yield folder
    finally:
        for _ in range(50):
            with suppress(OSError):  # its process is still ending
                folder.rmdir()
                break
            time.sleep(0.1)


def measure(folder: ModelFolder, options: EngineOptions, limit: int, tokens: int, seconds: float) -> str:
    """One line: what became of the host."""
    with group(limit) as place, host() as here:
        (place / "cgroup.procs").write_text(str(here.client.pid))
        timer = threading.Timer(seconds, here.client.kill)
        timer.start()
        try:
            here.load(folder, options)
            steps = here.answer(tokens)
        except HearthError as error:
            what = "loaded, then" if here.load_seconds else "while loading"
            return f"no answer, {what}: {'took too long' if not timer.is_alive() else error}"
        finally:
            timer.cancel()
        return (
            f"answers: load {here.load_seconds:.1f} s, {1 / median(steps):.2f} tok/s,"
            f" private {here.private_bytes / MB:.0f} MB, tokens {here.token_ids}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--limits", default="1000,700,500", help="in MB (2^20 bytes)")
    parser.add_argument("--tokens", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    folder = ModelFolder.open(arguments.model)
    with both_forms(folder, arguments.cache) as (forms, files):
        for limit in map(int, arguments.limits.split(",")):
            for form, base in forms.items():
                evict(files)
                # As the app would find it from inside the group.
                options = msgspec.structs.replace(base, memory_bytes=limit * MB)
                line = measure(folder, options, limit * MB, arguments.tokens, arguments.seconds)
                print(f"{limit:>6} MB  {form:<8}{line}", flush=True)


if __name__ == "__main__":
    main()
