"""What is noted of a build is what a later process goes on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearth.quantize.journal import Journal


def test_what_is_noted_is_found_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json", "key", seconds=1000)
    assert not journal.count(5)
    assert not journal.count(5)
    journal.write()
    journal.count(5)
    assert Journal(tmp_path / "journal.json", "key").pieces == 2


def test_notes_of_anything_else_count_for_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json", "key")
    journal.count(5)
    journal.write()
    assert Journal(tmp_path / "journal.json", "another key").pieces == 0


@pytest.mark.parametrize("content", [b"", b"{", b'{"key": "key"}', b"\xff\x00", b'{"key": "\xff"}'])
def test_a_damaged_note_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.json").write_bytes(content)
    assert Journal(tmp_path / "journal.json", "key").pieces == 0


def test_a_note_is_due_after_some_time_or_some_numbers(tmp_path: Path) -> None:
    assert Journal(tmp_path / "journal.json", "key", seconds=0).count(1)
    assert Journal(tmp_path / "journal.json", "key", seconds=1000).count(1 << 30)
