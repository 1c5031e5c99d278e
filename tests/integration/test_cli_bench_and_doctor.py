"""`hearth bench` and `hearth doctor`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command_line import hearth

SHORT = ("--prompt-tokens", "32,64", "--contexts", "0,100", "--generate-tokens", "8", "--repeat", "1")


def test_bench_measures_everything(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    report = hearth("bench", "one", *SHORT, "--json").json
    assert (report["model"], report["peer"], report["repeat"]) == ("one", None, 1)
    figures = {(f["what"], f["tokens"], f["streams"]): f for f in report["figures"]}
    cold = {("load_cold", 0, 0), ("model_cold", 0, 0)}  # only where the system can empty its file cache
    assert figures.keys() - cold == {
        ("load_warm", 0, 0),
        ("model_warm", 0, 0),
        ("memory_loaded", 0, 0),
        ("memory_one_stream", 32, 1),
        ("memory_all_streams", 0, 8),
        ("memory_most", 0, 0),
        *((what, tokens, 0) for what in ("prefill", "first_token") for tokens in (32, 64)),
        *(("decode", 0, streams) for streams in (1, 2, 4, 8)),
        ("decode", 100, 1),
        ("noise", 0, 0),
    }
    for figure in report["figures"]:
        assert figure["hearth"] > 0
        assert (figure["peer"], figure["ratio"], figure["peer_runs"]) == (None, None, [])
    memory = [figures[key]["hearth"] for key in (("memory_one_stream", 32, 1), ("memory_most", 0, 0))]
    assert memory[0] <= memory[1]


def test_bench_tells_a_person(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    text = hearth("bench", "one", *SHORT).out
    for row in ("read 64 tokens", "write 1 answer ", "write 8 answers at once", "write after 100 tokens"):
        assert row in text
    assert "TIMES AS GOOD" not in text


def test_bench_tells_what_int8_keys_and_values_cost(stories_int8: Path, hearth_home: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    assert "float32\n" in hearth("bench", "one", *SHORT).out
    (hearth_home / "config.toml").write_text('[engine]\nkv_cache_type = "int8"\n')
    assert re.search(r"int8, which moves the logits by [1-4]\.\d %\n", hearth("bench", "one", *SHORT).out)


def test_bench_cuts_what_is_longer_than_the_context(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    options = ("--prompt-tokens", "100,5000", "--contexts", "0,5000,6000", "--streams", "1")
    report = hearth("bench", "one", *options, "--generate-tokens", "8", "--repeat", "1", "--json").json
    lengths: dict[str, list[int]] = {"prefill": [], "decode": []}
    for figure in report["figures"]:
        lengths.get(figure["what"], []).append(figure["tokens"])
    assert lengths == {"prefill": [100, 511], "decode": [0, 504]}


def test_bench_of_more_than_the_context(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    assert "holds 512 tokens" in hearth("bench", "one", "--generate-tokens", "600").error_line()


def test_bench_finds_no_noise_in_float32(stories_float32: Path) -> None:
    hearth("models", "import", str(stories_float32), "--name", "one")
    report = hearth("bench", "one", *SHORT, "--json").json
    assert [f["hearth"] for f in report["figures"] if f["what"] == "noise"] == [0.0]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--contexts", "0,many"), "--contexts must be whole numbers of at least 0"),
        (("--streams", "0"), "--streams must be whole numbers of at least 1"),
        (("--peer", "llama.cpp"), "--peer-model is missing"),
        (("--peer", "another"), "--peer must be llama.cpp"),
        (("--peer-model", "model.gguf"), "--peer is missing"),
    ],
)
def test_bench_refuses_what_makes_no_sense(options: tuple[str, ...], reason: str) -> None:
    result = hearth("bench", "one", *options)
    assert result.code == 2
    assert reason in result.err


def test_bench_says_how_to_get_a_peer(stories_int8: Path, tmp_path: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    options = ("--peer", "llama.cpp", "--peer-model", "model.gguf", "--peer-python", str(tmp_path / "none"))
    line = hearth("bench", "one", *options).error_line()
    assert "none is not there" in line
    assert "make bench-peer" in line


def test_doctor_tells_what_is_here_and_why(hearth_home: Path) -> None:
    report = hearth("doctor", "--json").json
    assert report["home"]["path"] == str(hearth_home)
    assert report["log_file"] == str(hearth_home / "logs" / "hearth.log")
    assert report["engine"]["threads"] == report["machine"]["usable_cores"]
    assert "physical cores" in report["engine"]["threads_reason"]
    assert report["engine"]["provider"] == "CPUExecutionProvider"
    assert report["runtime"]["version"]
    assert report["problems"] == []
    text = hearth("doctor").out
    assert str(hearth_home / "logs" / "hearth.log") in text


def test_doctor_takes_the_settings(hearth_home: Path) -> None:
    hearth_home.mkdir()
    (hearth_home / "config.toml").write_text("[engine]\nthreads = 1\nkv_cache_mb = 300\n")
    engine = hearth("doctor", "--json").json["engine"]
    assert (engine["threads"], engine["kv_cache_bytes"]) == (1, 300 << 20)
    assert engine["threads_reason"] == "config.toml says so"


def test_doctor_misses_a_models_folder(hearth_home: Path) -> None:
    hearth_home.mkdir()
    (hearth_home / "config.toml").write_text('[folders]\nmodels = "/unplugged"\n')
    result = hearth("doctor")
    assert result.code == 1
    assert "/unplugged does not exist" in result.out


def test_doctor_reports_what_is_wrong_and_stops_at_nothing(hearth_home: Path) -> None:
    hearth_home.mkdir()
    (hearth_home / "config.toml").write_text("nonsense = 1\n")
    (hearth_home / "hearth.db").write_bytes(b"not a database" * 1000)
    result = hearth("doctor")
    assert result.code == 1
    assert "unknown setting “nonsense”" in result.out
    assert "hearth.db cannot be read" in result.out
    assert "ONNX Runtime" in result.out
