"""What it costs to quantize a checkpoint: seconds and memory, beside onnxruntime-genai's builder and llama.cpp.

    python tests/benchmarks/quantize_cost.py CHECKPOINT [--builder-python PY] [--peer-python PY] [--block-size 32]
                                            [--peer-floats f32|bf16]

Each side runs in a process of its own, one after the other, rounding to nearest in 4 bits: Hearth's builder, without
the quality report; `export_model.py` in an environment that has onnxruntime-genai's builder and torch; and llama.cpp's
two steps, a GGUF of floats (`make_gguf.py`) and its own quantizer, in the environment of `make bench-peer`. Memory is
the most that the processes of a side had resident at a time, the pages of files that they mapped among them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from hearth.hardware.machine import read_machine
from hearth.quantize.builder import build
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.recipe import Recipe

HERE = Path(__file__).parent
LOOK_SECONDS = 0.02
QUANTIZE = """
import ctypes, sys, llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.ftype, params.nthread = llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0, int(sys.argv[3])
sys.exit(llama_cpp.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(params)))
"""


def resident(process: psutil.Process) -> int:
    """Bytes of the process and its children."""
    try:
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:  # one of them has just ended
        return 0


def cost(command: list[str]) -> tuple[float, int]:
    """Seconds, and the most resident bytes."""
    started, most = time.perf_counter(), 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        most = max(most, resident(watched))
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        raise SystemExit(f"{command[1]} failed: {process.returncode}")
    return time.perf_counter() - started, most


def told(side: str, seconds: float, most: int, made: Path) -> None:
    files = [made] if made.is_file() else [file for file in made.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(f"{side:34} {seconds:7.1f} s {most / 1e6:8.0f} MB resident {size / 1e6:8.0f} MB made", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description="What quantizing costs.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("--builder-python")
    arguments.add_argument("--peer-python")
    arguments.add_argument(
        "--peer-floats", default="f32", help="of llama.cpp's first step; bf16 takes half the disk"
    )
    arguments.add_argument("--block-size", type=int, default=32)
    arguments.add_argument("--build-only", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    threads = read_machine().usable_cores
    if given.build_only:
        recipe = Recipe(name="nearest", bits=4, block_size=given.block_size)
        build(
            Checkpoint.open(given.checkpoint), recipe, given.build_only, threads, lambda _done, _whole: None
        )
        return
    checkpoint, block = str(given.checkpoint), ["--block-size", str(given.block_size)]
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "hearth").mkdir()
        command = [sys.executable, __file__, checkpoint, *block, "--build-only", str(place / "hearth")]
        told("Hearth", *cost(command), place / "hearth")
        if given.builder_python:
            export = [given.builder_python, str(HERE / "export_model.py"), checkpoint, str(place / "genai")]
            told("onnxruntime-genai's builder", *cost([*export, *block]), place / "genai")
        if given.peer_python:
            floats, rounded = place / "floats.gguf", place / "q4_0.gguf"
            convert = [given.peer_python, str(HERE / "make_gguf.py"), checkpoint, str(floats)]
            told("llama.cpp, a GGUF of floats", *cost([*convert, "--type", given.peer_floats]), floats)
            quantize = [given.peer_python, "-c", QUANTIZE, str(floats), str(rounded), str(threads)]
            told("llama.cpp, quantizing it", *cost(quantize), rounded)


if __name__ == "__main__":
    main()
