"""Models that are files or that run elsewhere: imported, listed, run, and forgotten."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from command_line import hearth
from hearth.cli.opening import open_models
from hearth.config import Config
from hearth.engine.host.protocol import EngineOptions, Load
from hearth.errors import (
    EngineMissing,
    ModelFileChanged,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileTruncated,
)
from hearth.hardware.machine import read_machine
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.experience import Experience, read_experience, write_experience
from hearth.models.registry import ModelRegistry
from hearth.services.device_options import machine_text
from hearth.services.model_fit import Fits, experience_file
from key_stores import KeyStore
from machine_speeds import speeds


@pytest.fixture
def file(tmp_path: Path, stories_gguf: Path) -> Path:
    (tmp_path / "downloads").mkdir()
    return Path(shutil.copy(stories_gguf, tmp_path / "downloads" / "Tiny-Stories.F32.gguf"))


@pytest.mark.parametrize("in_place", [True, False])
def test_a_gguf_file_is_a_model(tmp_path: Path, file: Path, in_place: bool) -> None:
    registry = ModelRegistry()
    entry = registry.import_folder(file, in_place=in_place)
    assert (entry.name, entry.format, entry.bytes) == ("tiny-stories.f32", "gguf", file.stat().st_size)
    assert entry.file.name == file.name
    assert (entry.file == file) is in_place
    assert entry.manifest.facts is not None
    assert (entry.manifest.facts.architecture, entry.manifest.facts.quantization) == ("llama", "F32")
    registry.verify(entry.name)
    removed = registry.remove(entry.name)
    registry.restore(removed)
    registry.remove(entry.name)
    registry.purge_removed()
    assert file.is_file(), "the owner's file stays"
    assert registry.list() == []


def test_a_file_in_place_may_be_a_link(tmp_path: Path, file: Path) -> None:
    link = tmp_path / "linked.gguf"
    link.symlink_to(file)
    registry = ModelRegistry()
    entry = registry.import_folder(link, in_place=True)
    assert (entry.name, entry.file) == ("linked", link)
    registry.verify("linked")


def test_changed_and_missing_files_are_told(tmp_path: Path, file: Path) -> None:
    registry = ModelRegistry()
    registry.import_folder(file, in_place=True, name="m")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"x")
    with pytest.raises(ModelFileChanged):
        registry.verify("m")
    file.write_bytes(whole[:-100])
    with pytest.raises(ModelFileTruncated):
        registry.verify("m")
    file.unlink()
    with pytest.raises(ModelFileMissing):
        registry.verify("m")


def test_a_damaged_file_is_not_imported(tmp_path: Path, file: Path) -> None:
    registry = ModelRegistry()
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ModelFileTruncated):
        registry.import_folder(file)
    file.write_bytes(b"hello")
    with pytest.raises(ModelFileInvalid, match="neither a GGUF nor a GGML file"):
        registry.import_folder(file)
    assert registry.list() == []


def test_an_old_file_is_a_ggml_model(tmp_path: Path) -> None:
    old = tmp_path / "ggml-mpt-7b.bin"
    old.write_bytes(b"lmgg" + b"\0" * 64)
    entry = ModelRegistry().import_folder(old, in_place=True)
    assert entry.format == "ggml"
    assert entry.manifest.facts is not None
    assert entry.manifest.facts.architecture == "mpt"


def test_from_import_to_answer_at_the_command_line(file: Path) -> None:
    assert hearth("models", "import", str(file), "--in-place", "--name", "tiny").code == 0
    listed = json.loads(hearth("models", "list", "--json").out)
    assert [(one["name"], one["format"], one["path"]) for one in listed] == [("tiny", "gguf", str(file))]
    assert "Architecture" in hearth("models", "show", "tiny").out
    run = hearth(
        "run",
        "tiny",
        "Once upon a time",
        "--raw",
        "--temperature",
        "0",
        "--max-tokens",
        "8",
        "--threads",
        "1",
        "--json",
    )
    answer = json.loads(run.out)
    assert (len(answer["token_ids"]), answer["finish_reason"]) == (8, "length")
    assert answer["text"].startswith(", there was a little")


def test_a_remote_model_keeps_its_key_in_the_key_store(
    tmp_path: Path, store: KeyStore, hearth_home: Path
) -> None:
    from hearth.model_folder.manifest import RemoteModel
    from hearth.models.remote_keys import read_key, write_key

    registry, address = ModelRegistry(), "http://127.0.0.1:9/v1"
    entry = registry.add_remote("far", RemoteModel(address=address, model="m", has_key=True))
    write_key("far", address, "sesame")
    assert (entry.format, entry.is_remote, entry.bytes) == ("remote", True, 0)
    assert "sesame" not in (registry.root / "far" / "manifest.json").read_text()
    registry.restore(registry.remove("far"))
    assert read_key("far", address) == "sesame"
    assert read_key("far", "http://127.0.0.1:10/v1") == ""  # a key is for one server
    registry.remove("far")
    registry.add_remote("far", RemoteModel(address=address, model="m", has_key=True))
    registry.purge_removed()
    assert read_key("far", address) == "sesame"  # the newer model's
    registry.remove("far")
    registry.purge_removed()
    assert store.keys == {}


def test_a_remote_model_is_shown_as_such(file: Path) -> None:
    added = hearth(
        "models", "add-remote", "http://127.0.0.1:9/v1", "--model", "m", "--name", "far", stdin="\n"
    )
    assert added.code == 0, added.err
    (listed,) = json.loads(hearth("models", "list", "--json").out)
    assert (listed["format"], listed["remote"], listed["path"]) == ("remote", True, "http://127.0.0.1:9/v1")
    assert "not on this machine" in hearth("models", "list").out
    failed = hearth("run", "far", "Hello")
    assert failed.code != 0
    assert "far did not answer" in failed.err
    assert failed.err.count("\n") == 1


@pytest.mark.parametrize(
    "address", ["ftp://example.org", "example.org", "http://", "http://me:word@example.org/v1"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    refused = hearth("models", "add-remote", address, "--model", "m", "--name", "far", stdin="\n")
    assert refused.code != 0
    assert "is no address" in refused.err


def test_one_model_in_two_formats_is_measured_side_by_side(file: Path, stories_float32: Path) -> None:
    assert hearth("models", "import", str(file), "--in-place", "--name", "tiny").code == 0
    assert hearth("models", "import", str(stories_float32), "--in-place", "--name", "onnx").code == 0
    sizes = ("--prompt-tokens", "8", "--streams", "1,2", "--contexts", "0", "--generate-tokens", "4")
    measured = hearth(
        "bench", "onnx", "--beside", "tiny", *sizes, "--repeat", "1", "--threads", "1", "--json"
    )
    report = measured.json
    assert (report["model"], report["peer"]) == ("onnx", "tiny")
    writing = [figure for figure in report["figures"] if figure["what"] == "decode"]
    assert [figure["streams"] for figure in writing] == [1, 2]
    assert all(figure["hearth"] > 0 and figure["peer"] > 0 for figure in writing)
    alone = hearth("bench", "tiny", *sizes, "--repeat", "1", "--threads", "1").out
    assert "llama.cpp" in alone
    assert hearth("bench", "tiny", "--beside", "tiny").code == 1


def test_what_both_formats_show_side_by_side_decides_which_is_advised(
    file: Path, stories_float32: Path
) -> None:
    for source, name in ((file, "tiny"), (stories_float32, "onnx")):
        hearth("models", "import", str(source), "--in-place", "--name", name)
    # So slow a memory that the tiny models come near what is expected of them.
    machine = Experience(machine=machine_text(read_machine()), measured=3 * (speeds(1e9, 3e11),))
    write_experience(experience_file(), machine)
    sizes = ("--prompt-tokens", "8", "--streams", "1", "--contexts", "0", "--repeat", "1")
    report = hearth("bench", "onnx", "--beside", "tiny", *sizes, "--generate-tokens", "32", "--json").json
    shown = {each.format: each for each in read_experience(experience_file(), machine.machine).models}
    assert set(shown) == {GENAI, GGUF}
    fits = Fits.open(Config(), measured=False)
    with open_models() as models:
        onnx, gguf = (fits.of_entry(models.get(name)).write_speed(48) for name in ("onnx", "tiny"))
    (writing,) = [figure for figure in report["figures"] if figure["what"] == "decode"]
    if all(0.1 <= each.write <= 10 for each in shown.values()):  # else one was disturbed, and is not believed
        assert onnx / gguf == pytest.approx(writing["ratio"], rel=0.01)


def test_quality_is_not_measured_of_other_formats(file: Path, tmp_path: Path) -> None:
    assert hearth("models", "import", str(file), "--in-place", "--name", "tiny").code == 0
    words = tmp_path / "words.txt"
    words.write_text("Once upon a time", encoding="utf-8")
    refused = hearth("evaluate", "tiny", "--text", str(words)).error_line()
    assert "quality is measured of models in the onnxruntime-genai format alone" in refused


@pytest.mark.parametrize(("package", "extra"), [("xllamacpp", "gguf"), ("ctransformers", "ggml")])
def test_a_missing_extra_says_what_to_install(
    tmp_path: Path, stories_gguf: Path, monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    from hearth.engine.host.loading import load_backend

    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.llm", None)
    options = EngineOptions(threads=1, kv_cache_bytes=1 << 20)
    load = Load(
        version=1,
        name="m",
        folder=str(stories_gguf),
        roots=[],
        options=options,
        format=extra,
        architecture="llama",
    )
    with pytest.raises(EngineMissing, match=rf"hearth\[{extra}\]"):
        load_backend(load, lambda _: None)
