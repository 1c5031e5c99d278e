"""`hearth quantize`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checkpoints import write_llama
from command_line import hearth
from golden_checkpoint import FOLDER
from hearth.paths import models_folder
from hub_caches import REVISION, write_hub_cache


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    write_llama(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_checkpoint_becomes_a_model(checkpoint: Path) -> None:
    made = hearth(
        "quantize", str(checkpoint), "mine", "--recipe", "int8", "--block-size", "16", "--json"
    ).json
    assert made["name"] == "mine"
    assert made["source"] == str(checkpoint)
    assert made["recipe"] == {"name": "int8", "bits": 8, "block_size": 16}
    assert made["seconds"] > 0
    assert [model["name"] for model in hearth("models", "list", "--json").json] == ["mine"]
    assert "is whole" in hearth("models", "verify", "mine").out


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_checkpoint_in_the_cache_of_the_hub_is_built_where_it_lies(
    checkpoint: Path, tmp_path: Path
) -> None:
    repository = write_hub_cache(checkpoint, tmp_path / "hub")
    snapshot = repository / "snapshots" / REVISION
    made = hearth("quantize", str(repository), "mine", "--recipe", "int8", "--json").json
    assert made["source"] == str(snapshot)
    assert hearth("quantize", str(snapshot), "again", "--recipe", "int8", "--json").json["name"] == "again"


def test_one_line_says_what_is_wrong_and_nothing_is_left(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(b"short")
    assert "safetensors" in hearth("quantize", str(checkpoint), "mine").error_line()
    assert hearth("models", "list", "--json").json == []
    assert list(models_folder().iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [("--bits", "5"), ("--block-size", "48"), ("--context", "4096"), ("--recipe", "nonsense")]
)
def test_what_makes_no_sense_is_refused_at_once(checkpoint: Path, arguments: tuple[str, str]) -> None:
    assert hearth("quantize", str(checkpoint), "mine", *arguments).code != 0
    assert not models_folder().exists() or not list(models_folder().iterdir())


def test_a_recipe_is_shown_as_a_file_that_can_be_changed_and_given(checkpoint: Path, tmp_path: Path) -> None:
    shown = hearth("quantize", "--show-recipe", "int8").out
    assert "Weights in a row that share a scale" in shown
    (tmp_path / "mine.toml").write_text(shown.replace("block_size = 32", "block_size = 16"), "utf-8")
    made = hearth("quantize", str(checkpoint), "mine", "--recipe", str(tmp_path / "mine.toml"), "--json").json
    assert [made["recipe"][key] for key in ("name", "bits", "block_size")] == ["int8", 8, 16]
    assert "balanced" in hearth("quantize", "--show-recipe", "nonsense").error_line()


def test_discarding_what_is_not_there_is_no_error(checkpoint: Path) -> None:
    assert hearth("quantize", str(checkpoint), "mine", "--discard").code == 0


def test_a_source_that_is_no_folder_is_told_with_what_to_give_instead(checkpoint: Path) -> None:
    assert "/nowhere" in hearth("quantize", "/nowhere", "mine").error_line()
    assert "hearth models pull org/name" in hearth("quantize", "org/name", "mine").error_line()
    file = str(checkpoint / "model.safetensors")
    assert "is a file" in hearth("quantize", file, "mine").error_line()


@pytest.mark.skipif(os.name != "posix", reason="a signal as Ctrl+C sends it")
@pytest.mark.timeout(300)
def test_control_c_keeps_the_work_and_says_so(tmp_path: Path) -> None:
    source = tmp_path / "large"
    write_llama(source, hidden=512, width=1024, layers=3, vocabulary=2048)
    shutil.copyfile(FOLDER / "tokenizer.json", source / "tokenizer.json")  # one that knows some tokens
    command = [sys.executable, "-m", "hearth", "quantize", str(source), "mine"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as program:
        work = models_folder() / ".quantizing" / "mine"
        while not (work / "lock").exists() and program.poll() is None:
            time.sleep(0.001)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate()
    assert program.returncode == 130
    assert "is kept" in said
    assert work.exists()
    assert hearth("models", "list", "--json").json == []
    assert hearth("quantize", str(source), "mine", "--discard").code == 0
    assert not work.exists()
