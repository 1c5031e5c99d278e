"""`hearth bench` and `hearth doctor`."""

from __future__ import annotations

from pathlib import Path

from command_line import hearth


def test_bench_measures_reading_and_writing(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    options = ["--prompt-tokens", "64", "--generate-tokens", "8", "--repeat", "1"]
    result = hearth("bench", "one", *options, "--json").json
    assert result["prompt_tokens"] == 64
    assert [speed["streams"] for speed in result["decode"]] == [1, 2, 4, 8]
    assert all(speed["tokens_per_second"] > 0 for speed in result["decode"])
    assert result["prefill_tokens_per_second"] > 0
    assert 0 < result["kv_cache_bytes"] < result["peak_memory_bytes"]
    text = hearth("bench", "one", *options).out
    assert "read 64 tokens" in text


def test_bench_of_more_than_the_context(stories_int8: Path) -> None:
    hearth("models", "import", str(stories_int8), "--name", "one")
    assert "holds 512 tokens" in hearth("bench", "one", "--generate-tokens", "600").error_line()


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
