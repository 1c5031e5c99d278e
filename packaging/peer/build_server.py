"""llama.cpp's own server, compiled for this machine from the sources that llama-cpp-python carries.

    python packaging/peer/build_server.py REQUIREMENTS DESTINATION [--jobs N]

`make bench-peer` runs it with its environment's Python. REQUIREMENTS pins llama-cpp-python with its hashes, so server
and library are of the same sources; DESTINATION is the program to make. Needs cmake and a C++ compiler. Nothing but the
server is built: no web pages, no TLS, no libraries beside it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "llama-cpp-python"
TARGET = "llama-server"
SETTINGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "GGML_NATIVE": "ON",
    "BUILD_SHARED_LIBS": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_UI": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "LLAMA_CURL": "OFF",
    "LLAMA_OPENSSL": "OFF",
}


def pin(requirements: str) -> str:
    """The lines of a requirements file that pin the package."""
    found = re.search(rf"^{PACKAGE}==(?:.*\\\n)*.*$", requirements, flags=re.MULTILINE)
    if found is None:
        sys.exit(f"the requirements do not pin {PACKAGE}")
    return found[0]


def fetch_sources(requirements: Path, place: Path) -> Path:
    """The folder of llama.cpp's sources, unpacked in `place`; pip checks what it fetches against the hashes."""
    pinned = place / "requirements.txt"
    pinned.write_text(pin(requirements.read_text(encoding="utf-8")) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", PACKAGE, "--require-hashes", "-r", str(pinned), "-d", str(place)]
    subprocess.run(command, check=True)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    (sources,) = place.glob("*/vendor/llama.cpp")
    return sources


def build(sources: Path, place: Path, jobs: int) -> Path:
    """The compiled program."""
    settings = [f"-D{name}={value}" for name, value in SETTINGS.items()]
    subprocess.run(["cmake", "-S", str(sources), "-B", str(place), *settings], check=True)
    command = [
        "cmake",
        "--build",
        str(place),
        "--config",
        "Release",
        "--target",
        TARGET,
        "--parallel",
        str(jobs),
    ]
    subprocess.run(command, check=True)
    suffix = ".exe" if os.name == "nt" else ""
    return next(path for path in (place / "bin").rglob(TARGET + suffix) if path.is_file())


def main() -> None:
    arguments = argparse.ArgumentParser(description="Compile llama.cpp's server for this machine.")
    arguments.add_argument("requirements", type=Path)
    arguments.add_argument("destination", type=Path)
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        program = build(fetch_sources(given.requirements, place), place / "build", given.jobs)
        shutil.copy2(program, given.destination)


if __name__ == "__main__":
    main()
