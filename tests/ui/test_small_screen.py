"""Windows on the smallest screen that Hearth is for: 1366 x 768 pixels at 200 %."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCREEN = {"width": 1366, "height": 768, "x": 0, "y": 0, "dpr": 1, "logicalDpi": 96, "logicalBaseDpi": 96}
TITLE_BAR = 30


def test_every_window_fits_a_small_screen_at_twice_the_size(
    tmp_path: Path, hearth_home: Path, stories_float32: Path
) -> None:
    (tmp_path / "screen.json").write_text(json.dumps({"screens": [{"name": "small", **SCREEN}]}))
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen:configfile=screen.json",  # Qt would part a path at the colon of a drive
        "QT_SCALE_FACTOR": "2",
        "HEARTH_HOME": str(hearth_home),
    }
    script = [sys.executable, str(Path(__file__).with_name("small_screen.py")), str(stories_float32)]
    run = subprocess.run(script, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    sizes = {name: tuple(map(int, size)) for name, *size in map(str.split, run.stdout.splitlines())}
    assert len(sizes) == 11
    too_large = {
        name: size
        for name, size in sizes.items()
        if max(size[::2]) > SCREEN["width"] // 2 or max(size[1::2]) > SCREEN["height"] // 2 - TITLE_BAR
    }
    assert too_large == {}
