"""Writes the pinned requirement files: one resolution for all systems and Pythons, with hashes, without addresses.

Each file stands alone: `dev.txt` contains what `desktop.txt` contains. They agree with each other, because every
file is resolved within the pins of `dev.txt`. Run by `make lock`, in an environment with `uv`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "packaging" / "requirements"

# name of the file, what of pyproject.toml it holds
FILES: dict[str, list[str]] = {
    "dev": ["--extra=desktop", "--group=dev"],
    "base": [],
    "desktop": ["--extra=desktop"],
    "gguf": ["--extra=gguf"],
    "build": ["--only-group=build"],
    "lock": ["--only-group=lock"],
    "ggml": ["--extra=ggml"],
    "peer": ["--group=peer"],
    "train": ["--group=train"],
}

HEADER = """\
# Made by `make lock` from pyproject.toml; not edited by hand.
"""


def lock(name: str, selection: list[str], upgrade: bool) -> None:
    """Resolve one file.

    Raises:
        subprocess.CalledProcessError: uv found no resolution; it has said why.
        ValueError: an address got into the file.
    """
    target = FOLDER / f"{name}.txt"
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile"),
        *("--universal", "--python-version=3.11", "--generate-hashes"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--quiet"),
        *(f"--output-file={target}", *selection),
    ]
    only_group = [part for part in selection if part.startswith("--only-group=")]
    if only_group:
        group = only_group[0].removeprefix("--only-group=")
        command = [part for part in command if part not in only_group] + [f"--group=pyproject.toml:{group}"]
    else:
        command.append("pyproject.toml")
    if upgrade:
        command.append("--upgrade")
    if name != "dev":
        command.append(f"--constraints={FOLDER / 'dev.txt'}")
    subprocess.run(command, cwd=ROOT, check=True)
    text = target.read_text(encoding="utf-8")
    if re.search(r"://|--(index|extra-index|find-links)| @ ", text):
        raise ValueError(f"{target} holds an address")
    target.write_text(HEADER + text, encoding="utf-8", newline="\n")


def main() -> None:
    for name, selection in FILES.items():
        print(name)
        lock(name, selection, upgrade="--upgrade" in sys.argv[1:])


if __name__ == "__main__":
    main()
