"""A hub that fails in every way, and a program that is killed: the right bytes or one clear error, never half a model."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from hearth.errors import HearthError
from hearth.models.hub.download_folder import DownloadFolders
from hearth.models.hub.download_job import DownloadJob
from hearth.models.hub.partial_file import PartialFile
from hearth.models.hub.patience import Patience
from hearth.models.registry import ModelEntry, ModelRegistry
from hearth.services.downloads import Downloads
from hub_repositories import GENAI, contents, noise, pull, queue
from hub_server import Asked, Fault, HubRepository, HubServer, random_faults

SCHEDULES = 200


@pytest.fixture
def server(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """It is asked again at once: it fails hundreds of times."""
    monkeypatch.setattr("hearth.models.hub.client.PATIENCE", Patience(first_seconds=0.0, longest_seconds=0.0))
    return server


@pytest.mark.timeout(600)
def test_every_schedule_of_faults_ends_in_the_right_bytes_or_one_clear_error(
    server: HubServer, tmp_path: Path
) -> None:
    right = {
        path.removeprefix("cpu/int4/"): data
        for path, data in server.repositories[GENAI].files.items()
        if path.startswith("cpu/int4/")
    }
    ends: Counter[str] = Counter()
    lines: list[str] = []
    for seed in range(SCHEDULES):
        models = empty_models(tmp_path / str(seed))
        server.fault = faults(seed)
        try:
            entry = pull(models, GENAI)
        except HearthError as error:
            ends[error.code] += 1
            lines.append(str(error))
            assert models.list() == [], seed
            server.fault = lambda _kind, _path, _start: None
            entry = pull(models, GENAI)  # what was kept of it does no harm
        else:
            ends["right"] += 1
        assert isinstance(entry, ModelEntry)
        assert contents(entry.path) == right, seed
        assert [model.name for model in models.list()] == ["small-onnx"], seed
        assert sorted(path.name for path in models.root.iterdir()) == ["small-onnx"], seed
    assert sum(ends.values()) == SCHEDULES
    assert ends["right"] > SCHEDULES // 3, ends
    assert len(ends) >= 4, ends
    assert not [line for line in lines if "\n" in line or "Traceback" in line]


def empty_models(root: Path) -> ModelRegistry:
    root.mkdir()
    return ModelRegistry(root)


def faults(seed: int):
    """Ever more of the answers fail; with some seeds, one file is beyond help, or all from some moment on."""
    dice = random.Random(seed)
    some = random_faults(seed, dice.choice([0.02, 0.1, 0.2, 0.4]))
    fatal = dice.choice(
        [
            *[None] * 8,
            Fault(404, {"X-Error-Code": "RepoNotFound"}),
            Fault(403, {"X-Error-Code": "GatedRepo"}),
            Fault(503),
            Fault(length=3),
            Fault(change=lambda body: bytes(len(body))),
        ]
    )
    after, count = dice.randrange(20), 0

    def fault(kind: str, path: str, start: int) -> Fault | None:
        nonlocal count
        count += 1
        if fatal is not None and count > after and kind != "api":
            return fatal
        return some(kind, path, start)

    return fault


FETCHES = """
import sys
from pathlib import Path
import hearth.models.hub.fetch as fetch
from hearth.models.registry import ModelRegistry
from hearth.services.downloads import Downloads
fetch.PIECE_BYTES = int(sys.argv[2])
downloads = Downloads(ModelRegistry(Path(sys.argv[1])))
downloads.run(downloads.list()[0].id)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.timeout(300)
def test_a_kill_at_any_moment_costs_no_finished_byte(server: HubServer, tmp_path: Path) -> None:
    """Ten kills, one after the other, of a process that fetches; each next one asks for none of what was there."""
    dice = random.Random(7)
    pieces, piece = 24, 1 << 16
    weights = noise(pieces * piece, 40)
    server.repositories["org/Large"] = HubRepository(
        {"config.json": b"{}", "model.safetensors": weights, "tokenizer.json": b"{}"},
        config={"model_type": "llama"},
    )
    models = empty_models(tmp_path / "models")
    download = queue(Downloads(models), "org/Large")
    folder = DownloadFolders(models.root / ".downloads").get(download)
    finished: list[tuple[int, int]] = []
    kills = 0
    while folder.path.exists():
        server.asked.clear()
        command = [sys.executable, "-c", FETCHES, str(models.root), str(piece)]
        if kills < 10:
            moment = server.sent + dice.randrange(1, len(weights) // 10)
            with server.holding(moment) as waits, subprocess.Popen(command) as program:
                assert waits.wait(60)
                program.send_signal(signal.SIGKILL)
                program.wait()
        else:
            with subprocess.Popen(command) as program:
                program.wait()
        kills += program.returncode == -signal.SIGKILL
        assert program.returncode in (0, -signal.SIGKILL)
        again = [one for one in server.asked if one.path == "model.safetensors"]
        assert not [(one, there) for one in again for there in finished if overlap(one, *there)]
        assert models.list() == []
        if folder.path.exists():
            finished = parts_there(folder.partial, folder.read(), piece)
    assert kills == 10
    assert (models.root / ".checkpoints" / "org" / "Large" / "model.safetensors").read_bytes() == weights


def overlap(asked: Asked, start: int, end: int) -> bool:
    return asked.start < end and start < asked.end


def parts_there(partial: Path, job: DownloadJob, piece: int) -> list[tuple[int, int]]:
    """Which parts of the weights are on the disk, as the notes say."""
    file = next(file for file in job.choice.files if file.path == "model.safetensors")
    if not (partial / f"{file.oid}.part").exists():
        return []
    found = PartialFile(partial, file, piece)
    return [
        (found.piece(index)[0], found.piece(index)[0] + done) for index, done in enumerate(found.done) if done
    ]
