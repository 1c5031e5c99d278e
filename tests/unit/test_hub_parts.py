"""Small parts of the hub's client: patience, rate, and what a partial file remembers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hearth.errors import HearthError, HubBusy, HubFailed, RepositoryNotFound
from hearth.model_folder.held_folder import held_folder, is_held
from hearth.model_folder.manifest import Manifest, ManifestFile
from hearth.models.hub.checkpoints import Checkpoints
from hearth.models.hub.download_folder import DownloadFolders
from hearth.models.hub.install_folder import InstallFolders
from hearth.models.hub.partial_file import PartialFile
from hearth.models.hub.patience import Patience
from hearth.models.hub.rate import Rate
from hearth.models.hub.repository import RemoteFile, parse_repository

DATA = bytes(range(250)) * 2
FILE = RemoteFile("a.bin", len(DATA), hashlib.sha256(DATA).hexdigest(), is_large=True)


def nothing() -> None:
    """For a check that never stops."""


def test_waits_double_and_end_and_a_server_may_ask_for_more() -> None:
    patience = Patience(tries=5, first_seconds=1, longest_seconds=5, longest_asked_seconds=60)
    failed = HubFailed(host="a", reason="b")
    assert [patience.seconds(failures, failed) for failures in range(1, 5)] == [1, 2, 4, 5]
    assert patience.seconds(1, HubBusy(host="a", seconds=50)) == 50
    hopeless: list[tuple[int, HearthError]] = [
        (5, failed),
        (1, HubBusy(host="a", seconds=61)),
        (1, RepositoryNotFound(repository="a", host="b")),
    ]
    for failures, error in hopeless:
        with pytest.raises(type(error)):
            patience.seconds(failures, error)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    rate = Rate(lambda: now)
    rate.add(1_000_000)  # was there before, and does not count
    assert rate.bytes_per_second is None
    assert rate.seconds_left(2_000_000) is None
    for _ in range(100):
        now += 0.2
        rate.add(round(1_000_000 + now * 1000))
    assert rate.bytes_per_second == pytest.approx(1000)
    assert rate.seconds_left(1_030_000) == pytest.approx(10)
    for _ in range(100):
        now += 0.2
        rate.add(1_020_000)
    assert rate.bytes_per_second == 0
    assert rate.seconds_left(1_030_000) is None


def write(partial: PartialFile, index: int, count: int) -> None:
    start = partial.piece(index)[0] + partial.done[index]
    with partial.writer(index) as writer:
        writer.write(DATA[start : start + count])


def test_a_partial_file_goes_on_where_it_was_and_takes_no_more_than_its_pieces(tmp_path: Path) -> None:
    first = PartialFile(tmp_path, FILE, 200)
    write(first, 2, 30)
    write(first, 0, 500)
    assert first.done == [200, 0, 30]
    again = PartialFile(tmp_path, FILE, 64)  # the pieces are as they were
    assert again.done == [200, 0, 30]
    assert again.missing() == [1, 2]
    assert PartialFile.bytes_noted(tmp_path, FILE) == 230
    write(again, 1, 200)
    write(again, 2, 200)
    assert again.finish(tmp_path / "in" / "a.bin", nothing) == ManifestFile(FILE.oid, 500)
    assert (tmp_path / "in" / "a.bin").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("harm", ["short note", "long note", "lying note", "no file", "short file"])
def test_a_note_that_cannot_be_true_is_not_believed(tmp_path: Path, harm: str) -> None:
    write(PartialFile(tmp_path, FILE, 200), 1, 100)
    note, data = tmp_path / f"{FILE.oid}.done", tmp_path / f"{FILE.oid}.part"
    text = note.read_bytes()
    match harm:
        case "short note":
            note.write_bytes(text[:-3])
        case "long note":
            note.write_bytes(text + bytes(8))
        case "lying note":
            note.write_bytes(text[:-8] + (101).to_bytes(8, "little"))
        case "no file":
            data.unlink()
        case "short file":
            data.write_bytes(b"x")
    assert PartialFile(tmp_path, FILE, 200).done == [0, 0, 0]


def test_content_that_differs_gets_no_place(tmp_path: Path) -> None:
    partial = PartialFile(tmp_path, FILE, 1000)
    with partial.writer(0) as writer:
        writer.write(bytes(len(DATA)))
    assert partial.finish(tmp_path / "a.bin", nothing) is None
    assert not (tmp_path / "a.bin").exists()


def test_a_file_whose_download_ends_while_it_is_stored_gets_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storing a large file takes seconds, and its folder may be somebody else's by then."""
    partial = PartialFile(tmp_path, FILE, 1000)
    write(partial, 0, len(DATA))
    stopped = False

    def stop(_descriptor: int) -> None:
        nonlocal stopped
        stopped = True

    def check() -> None:
        if stopped:
            raise InterruptedError

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(InterruptedError):
        partial.finish(tmp_path / "in" / "a.bin", check)
    assert not (tmp_path / "in").exists()


def test_a_look_whether_a_folder_is_held_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert not is_held(folder)
    assert not folder.exists()
    folder.mkdir()
    assert not is_held(folder)
    assert list(folder.iterdir()) == []
    with held_folder(folder):
        assert is_held(folder)
    assert not is_held(folder)


@pytest.mark.parametrize("folders", [InstallFolders, DownloadFolders])
def test_tidying_leaves_a_folder_that_somebody_has_just_begun(
    tmp_path: Path, folders: type[InstallFolders | DownloadFolders]
) -> None:
    root = folders(tmp_path / "beside")
    folder = root.of("tiny") if isinstance(root, InstallFolders) else root.of("org/tiny", "tiny")
    folder.path.mkdir(parents=True)
    with folder.held():  # and its note is written next
        with pytest.raises(HearthError), root.held(folder):
            pass
        assert folder.is_held()
    with root.held(folder):
        pass
    assert not root.root.exists()


def test_a_checkpoint_of_a_repository_without_an_organization_has_a_folder_of_its_own(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "models")
    for name in ("gpt2", "gpt2/other", "gpt2"):  # the last one takes the place of the first
        made = tmp_path / "made"
        made.mkdir()
        checkpoints.add(made, Manifest(version=1, name=name))
    assert [entry.name for entry in checkpoints.list()] == ["gpt2", "gpt2/other"]
    found = checkpoints.get("gpt2")
    assert found is not None
    checkpoints.remove(found)
    assert [entry.name for entry in checkpoints.list()] == ["gpt2/other"]


def test_a_repository_is_named_with_its_revision() -> None:
    assert parse_repository("org/name") == ("org/name", "main")
    assert parse_repository(" Qwen/Qwen2.5-0.5B@refs/pr/1 ") == ("Qwen/Qwen2.5-0.5B", "refs/pr/1")
