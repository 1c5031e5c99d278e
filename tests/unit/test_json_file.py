"""JSON files that are written whole or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from hearth.model_folder.json_file import read_json, write_json


class Number(msgspec.Struct):
    value: int


def test_threads_that_write_one_file_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    file = tmp_path / "number.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda value: write_json(file, Number(value)), range(200)))
    assert read_json(file, Number, 1000).value in range(200)
    assert list(tmp_path.iterdir()) == [file]
