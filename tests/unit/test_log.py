"""The log file: several processes append to it, it stays small, and it never stops the program."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearth.log import close_logging, setup_logging
from hearth.paths import log_file

log = logging.getLogger("hearth.test")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    close_logging()


def lines() -> list[str]:
    return log_file().read_text("utf-8").splitlines()


def test_a_line_tells_time_process_level_and_module() -> None:
    setup_logging("info")
    log.info("model loaded: %s", "模型")
    log.debug("not at this level")
    (line,) = lines()
    assert line.endswith("INFO hearth.test: model loaded: 模型")
    assert line[:4].isdigit()


def test_the_level_can_be_changed_and_lines_are_not_doubled() -> None:
    setup_logging("info")
    setup_logging("debug")
    log.debug("once")
    assert len(lines()) == 1


def test_other_libraries_are_kept_from_warning_on() -> None:
    setup_logging("debug")
    logging.getLogger("alembic.runtime").info("chatter")
    logging.getLogger("alembic.runtime").warning("trouble")
    assert [line.rpartition(": ")[2] for line in lines()] == ["trouble"]


def test_a_large_file_is_put_aside_at_start_and_three_are_kept() -> None:
    log_file().parent.mkdir(parents=True)
    for number in range(5):
        log_file().write_text(f"{number}\n" * 600_000)
        setup_logging("info")
    log.info("new")
    assert len(lines()) == 1
    kept = sorted(file.name for file in log_file().parent.iterdir())
    assert kept == ["hearth.log", "hearth.log.1", "hearth.log.2"]
    assert log_file().with_name("hearth.log.1").read_text().startswith("4\n")


def test_a_file_that_grows_large_is_put_aside_while_it_is_written() -> None:
    setup_logging("info")
    for _ in range(12):
        log.info("%s", "x" * 100_000)
    assert log_file().stat().st_size < 300_000


def test_an_engine_host_never_rotates_but_follows_who_does() -> None:
    log_file().parent.mkdir(parents=True)
    log_file().write_text("x" * 1_200_000)
    setup_logging("info", rotate=False)
    assert log_file().stat().st_size == 1_200_000
    log_file().rename(log_file().with_name("hearth.log.1"))
    log.info("after")
    assert len(lines()) == 1


def test_an_unwritable_folder_is_told_once_on_stderr_and_lines_go_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "file"))
    setup_logging("info")
    log.info("first")
    log.info("second")
    told = capsys.readouterr().err
    assert told.count("cannot be written") == 1
    assert "first" in told
    assert "second" in told


def test_a_folder_that_goes_away_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("info")
    folder = log_file().parent
    shutil.rmtree(folder)
    folder.write_text("a file in its place")
    log.info("first")
    log.info("second")
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_without_stderr_nothing_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEARTH_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("sys.stderr", None)
    setup_logging("info", to_stderr=True)
    log.info("into the void")
