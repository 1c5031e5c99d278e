"""A model grows in a process of its own: killed, stopped or without room, it is whole in the end or not there at all."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from checkpoints import write_llama, write_safetensors
from disks import enlarge, leave_no_room, small_disk
from golden_checkpoint import FOLDER
from hearth.errors import (
    DiskFull,
    HearthError,
    HomeUnwritable,
    InputInvalid,
    ModelFileInvalid,
    ModelFileMissing,
    ModelNameTaken,
    ModelNotFinite,
    QuantizeBusy,
    QuantizeCancelled,
    QuantizeCrashed,
    QuantizeMemory,
    QuantizeRoom,
)
from hearth.model_folder.manifest import FILE_NAME as MANIFEST
from hearth.models.registry import ModelRegistry
from hearth.quantize.builder import plan
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.process import QuantizeProcess
from hearth.quantize.protocol import Done, Job
from hearth.quantize.recipe import Mixed, Recipe
from hearth.quantize.recipe_file import load_built_in_recipe
from hearth.quantize.work_folder import WorkFolder
from hearth.services.quantizing import QuantizeProgress, Stage, discard, quantize
from hearth.services.quantizing import _held as held

# Notes that come after each piece, so that a small model has many moments.
NOTE_SECONDS = 1e-6
RECIPE = Recipe(name="test", head_bits=8)
KILLS = 10


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten million random numbers, in about fifty pieces."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_llama(folder, hidden=512, width=1024, layers=3, vocabulary=2048)
    return folder


@pytest.fixture
def models() -> ModelRegistry:
    return ModelRegistry()


def job(source: Path, work: Path, **changes: object) -> Job:
    plain = Job(
        name="test",
        source=str(source),
        work=str(work),
        recipe=RECIPE,
        threads=2,
        memory_bytes=1 << 40,
        language="en",
        note_seconds=NOTE_SECONDS,
    )
    return msgspec.structs.replace(plain, **changes)


def run(task: Job) -> None:
    with QuantizeProcess(task) as process:
        assert isinstance(list(process.messages())[-1], Done)


def pieces(work: Path) -> int:
    """How many the journal says are done."""
    try:
        return int(msgspec.json.decode((work / "journal.json").read_bytes())["pieces"])
    except FileNotFoundError:
        return 0


def wait_for(work: Path, count: int, process: QuantizeProcess) -> None:
    while pieces(work) < count and psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != MANIFEST}


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*")) if folder.exists() else []


@pytest.mark.skipif(os.name != "posix", reason="a signal that cannot be caught")
@pytest.mark.timeout(900)
def test_killed_at_ten_random_moments_the_result_is_the_same(checkpoint: Path, tmp_path: Path) -> None:
    whole, work = tmp_path / "whole", tmp_path / "work"
    run(job(checkpoint, whole))
    total = pieces(whole)
    moments = random.Random(7)
    noted = 0
    kills = 0
    while kills < KILLS:
        with QuantizeProcess(job(checkpoint, work)) as process:
            wait_for(work, noted + moments.randint(0, 3), process)
            time.sleep(moments.random() / 100)
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(QuantizeCrashed):
                list(process.messages())
        kills += 1
        assert noted <= pieces(work) < total  # nothing that was noted is done again
        noted = pieces(work)
    assert noted > 0
    run(job(checkpoint, work))
    assert content(work / "model") == content(whole / "model")


@pytest.mark.skipif(os.name != "posix", reason="a signal that cannot be caught")
@pytest.mark.timeout(900)
def test_killed_while_it_calibrates_the_result_is_the_same(tmp_path: Path) -> None:
    """With feedback, which is found layer by layer; choices are made before."""
    recipe = Recipe(
        name="test",
        rounding="gptq",
        mixed=Mixed(bits_per_weight=5.5),
        calibration_tokens=256,
        kv_cache="int8",
    )
    source, whole, work = (tmp_path / name for name in ("source", "whole", "work"))
    write_llama(source, hidden=128, width=256, layers=4, vocabulary=512)
    shutil.copyfile(FOLDER / "tokenizer.json", source / "tokenizer.json")  # one that knows some tokens
    run(job(source, whole, recipe=recipe, threads=1))
    reached = []
    for stop in ("choices", "layers", "layers", "journal.json"):
        state = work / stop
        before = state.stat().st_mtime_ns if state.exists() else 0
        with QuantizeProcess(job(source, work, recipe=recipe, threads=1)) as process:
            while not state.exists() or state.stat().st_mtime_ns == before:
                assert psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE
                time.sleep(0.001)
            os.kill(process.pid, signal.SIGKILL)
            with pytest.raises(QuantizeCrashed):
                list(process.messages())
        reached.append(pieces(work))
    assert reached == sorted(reached)
    assert 0 < reached[-1] < pieces(whole)
    with (work / "choices").open("r+b") as stream:  # damaged, it is found anew
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\xff")
    run(job(source, work, recipe=recipe, threads=1))
    assert content(work / "model") == content(whole / "model")


@pytest.mark.timeout(300)
def test_another_recipe_or_a_changed_source_begins_anew(checkpoint: Path, tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    shutil.copytree(checkpoint, source)
    run(job(source, work))
    other = msgspec.structs.replace(RECIPE, bits=8)
    run(job(source, work, recipe=other))
    run(job(source, tmp_path / "plain", recipe=other))
    assert content(work / "model") == content(tmp_path / "plain" / "model")
    tensors = write_llama(tmp_path / "small")
    tensors["model.norm.weight"] *= 2
    shutil.copytree(tmp_path / "small", source, dirs_exist_ok=True)
    run(job(source, work))
    write_safetensors(source / "model.safetensors", tensors)
    run(job(source, work))
    run(job(source, tmp_path / "changed"))
    assert content(work / "model") == content(tmp_path / "changed" / "model")


@pytest.mark.timeout(300)
def test_the_list_has_the_model_only_when_it_is_whole(checkpoint: Path, models: ModelRegistry) -> None:
    seen: list[QuantizeProgress] = []

    def look(progress: QuantizeProgress) -> None:
        seen.append(progress)
        assert models.list() == []

    entry = quantize(models, checkpoint, "whole", RECIPE, progress=look)
    assert [model.name for model in models.list()] == ["whole"]
    assert seen[-1].stage is Stage.CHECKING
    assert seen[-1].done == seen[-1].total
    assert entry.manifest.source == str(checkpoint)
    assert entry.manifest.quantization is not None
    assert entry.manifest.quantization.recipe == {"name": "test", "head_bits": 8}
    models.verify("whole")
    assert not (models.root / ".quantizing").exists()


@pytest.mark.timeout(300)
def test_what_was_cancelled_is_kept_until_it_is_discarded(checkpoint: Path, models: ModelRegistry) -> None:
    with pytest.raises(QuantizeCancelled):
        quantize(models, checkpoint, "some", RECIPE, cancelled=lambda: True)
    assert models.list() == []
    assert models.work_folder("some").exists()
    discard(models, "some")
    assert not (models.root / ".quantizing").exists()


@pytest.mark.timeout(300)
def test_what_was_stopped_while_it_was_measured_is_gone_on_with(
    checkpoint: Path, models: ModelRegistry, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkpoint, source)
    shutil.copyfile(FOLDER / "tokenizer.json", source / "tokenizer.json")  # one that knows some tokens
    stages: list[Stage] = []
    with pytest.raises(QuantizeCancelled):
        quantize(
            models,
            source,
            "mine",
            RECIPE,
            progress=lambda at: stages.append(at.stage),
            cancelled=lambda: Stage.MEASURING in stages,
        )
    assert models.list() == []
    built = content(models.work_folder("mine") / "model")
    entry = quantize(models, source, "mine", RECIPE)
    assert content(entry.path) == built
    assert entry.manifest.quality is not None


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "error"), [("int8", ModelNotFinite), ("balanced", ModelFileInvalid)])
def test_a_model_that_computes_no_numbers_is_refused_and_leaves_nothing(
    models: ModelRegistry, tmp_path: Path, name: str, error: type[HearthError]
) -> None:
    """Calibration finds it in the original, the quality report in what was made of it."""
    tensors = write_llama(tmp_path, vocabulary=2048)
    for module in ("up_proj", "down_proj"):  # each is finite, their product is not
        tensors[f"model.layers.0.mlp.{module}.weight"] *= np.float32(1e25)
    write_safetensors(tmp_path / "model.safetensors", tensors)
    shutil.copyfile(FOLDER / "tokenizer.json", tmp_path / "tokenizer.json")
    with pytest.raises(error):
        quantize(models, tmp_path, "broken", load_built_in_recipe(name))
    assert models.list() == []
    assert not (models.root / ".quantizing").exists()


@pytest.mark.timeout(300)
def test_what_somebody_else_has_built_in_the_meantime_is_not_taken(
    checkpoint: Path, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of the process that builds and the moment in which its caller holds the folder."""
    other = msgspec.structs.replace(RECIPE, bits=8)

    def late(work: WorkFolder) -> AbstractContextManager[None]:
        run(job(checkpoint, work.path, recipe=other))
        return held(work)

    monkeypatch.setattr("hearth.services.quantizing._held", late)
    with pytest.raises(QuantizeBusy):
        quantize(models, checkpoint, "mine", RECIPE)
    assert models.list() == []
    assert models.work_folder("mine").exists()  # the other one's


@pytest.mark.skipif(os.name != "posix", reason="nice")
@pytest.mark.timeout(300)
def test_the_process_is_modest_and_alone_and_ends_with_its_caller(checkpoint: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time, msgspec\n"
        "from hearth.quantize.process import QuantizeProcess\n"
        "from hearth.quantize.protocol import Job\n"
        "process = QuantizeProcess(msgspec.json.decode(sys.stdin.readline(), type=Job))\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    work = tmp_path / "work"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as caller:
        assert caller.stdin is not None
        assert caller.stdout is not None
        caller.stdin.write(msgspec.json.encode(job(checkpoint, work)) + b"\n")
        caller.stdin.flush()
        process = psutil.Process(int(caller.stdout.readline()))
        while pieces(work) < 1:
            time.sleep(0.001)
        os.kill(process.pid, signal.SIGSTOP)
        assert process.nice() > 0
        with pytest.raises(QuantizeBusy), QuantizeProcess(job(checkpoint, work)) as second:
            list(second.messages())
        os.kill(process.pid, signal.SIGCONT)
        caller.kill()
    process.wait(timeout=60)
    assert WorkFolder(work).has_work


@pytest.mark.skipif(os.name != "posix", reason="a process that is held")
@pytest.mark.timeout(300)
def test_a_source_that_vanishes_half_way_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    shutil.copytree(checkpoint, source)
    with QuantizeProcess(job(source, work)) as process:
        wait_for(work, 1, process)
        os.kill(process.pid, signal.SIGSTOP)
        assert pieces(work) > 0
        shutil.rmtree(source)
        os.kill(process.pid, signal.SIGCONT)
        with pytest.raises((ModelFileInvalid, ModelFileMissing)) as caught:
            list(process.messages())
    assert str(source) in str(caught.value)
    assert not work.exists()


@pytest.mark.skipif(os.name != "posix", reason="a process that is held")
@pytest.mark.timeout(300)
def test_a_source_that_changes_half_way_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    source, work = tmp_path / "source", tmp_path / "work"
    shutil.copytree(checkpoint, source)
    with QuantizeProcess(job(source, work)) as process:
        wait_for(work, 1, process)
        os.kill(process.pid, signal.SIGSTOP)
        with (source / "model.safetensors").open("r+b") as stream:
            stream.seek(-4, os.SEEK_END)
            stream.write(bytes(4))
        os.kill(process.pid, signal.SIGCONT)
        with pytest.raises(ModelFileInvalid, match="changed while"):
            list(process.messages())
    assert not work.exists()


@pytest.mark.timeout(300)
def test_nobody_builds_in_the_folder_until_the_model_has_left_it(
    checkpoint: Path, models: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearth.quantize.work_folder._PATIENCE_SECONDS", 0)
    busy: dict[Stage, bool] = {}

    def try_too(progress: QuantizeProgress) -> None:
        busy[progress.stage] = False
        try:
            discard(models, "mine")
        except QuantizeBusy:
            busy[progress.stage] = True

    quantize(models, checkpoint, "mine", RECIPE, progress=try_too)
    assert busy[Stage.CHECKING]
    assert all(busy.values())


@pytest.mark.timeout(300)
def test_a_name_that_somebody_takes_meanwhile_leaves_nothing(
    checkpoint: Path, models: ModelRegistry, tmp_path: Path
) -> None:
    def take(progress: QuantizeProgress) -> None:
        if progress.stage is Stage.CHECKING:
            (models.root / "mine").mkdir(exist_ok=True)

    with pytest.raises(ModelNameTaken):
        quantize(models, checkpoint, "mine", RECIPE, progress=take)
    assert not models.work_folder("mine").exists()


def test_too_little_memory_is_told_before_the_work(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(QuantizeMemory):
        run(job(checkpoint, tmp_path / "work", memory_bytes=1 << 20))
    assert not (tmp_path / "work").exists()


def test_a_recipe_that_needs_less_memory_is_named(checkpoint: Path, tmp_path: Path) -> None:
    recipe = Recipe(name="test", rounding="gptq")
    enough = plan(Checkpoint.open(checkpoint), recipe).memory_bytes(2)
    with pytest.raises(QuantizeMemory, match=r"Take the recipe “small”, which needs \d+ MB"):
        run(job(checkpoint, tmp_path / "work", recipe=recipe, memory_bytes=enough - 1))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 2 << 20) as folder:
        yield folder


def test_too_small_a_disk_is_told_before_the_work(checkpoint: Path, disk: Path) -> None:
    with pytest.raises(QuantizeRoom, match="MB"):
        run(job(checkpoint, disk / "work"))
    assert everything(disk) == []


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_disk_that_takes_no_more_is_one_clear_error(checkpoint: Path, tmp_path: Path) -> None:
    import resource

    with QuantizeProcess(job(checkpoint, tmp_path / "work")) as process:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with pytest.raises((HomeUnwritable, DiskFull)):
            list(process.messages())
    assert not (tmp_path / "work").exists()


@pytest.mark.timeout(300)
def test_a_disk_that_fills_half_way_loses_nothing_that_was_noted(checkpoint: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    run(job(checkpoint, whole))
    with small_disk(tmp_path / "disk", 1 << 30) as disk:
        work = disk / "work"
        with QuantizeProcess(job(checkpoint, work)) as process:
            wait_for(work, 3, process)
            os.kill(process.pid, signal.SIGSTOP)
            leave_no_room(disk)
            os.kill(process.pid, signal.SIGCONT)
            with pytest.raises(DiskFull):
                list(process.messages())
        assert 3 <= pieces(work) < pieces(whole)
        enlarge(disk, 1 << 30)
        run(job(checkpoint, work))
        assert content(work / "model") == content(whole / "model")


def test_an_error_before_the_work_leaves_what_was_done_earlier(checkpoint: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    run(job(checkpoint, work))
    with pytest.raises(QuantizeMemory):
        run(job(checkpoint, work, memory_bytes=1 << 20))
    assert WorkFolder(work).has_work


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text")
def test_a_path_that_is_no_text_is_told(models: ModelRegistry, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    with pytest.raises(InputInvalid, match="not UTF-8"):
        quantize(models, folder, "made", RECIPE)


def test_a_name_that_is_taken_is_told_before_the_work(checkpoint: Path, models: ModelRegistry) -> None:
    quantize(models, checkpoint, "taken", RECIPE)
    with pytest.raises(HearthError, match="taken"):
        quantize(models, checkpoint, "taken", RECIPE)
