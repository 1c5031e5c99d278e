"""`hearth evaluate`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from command_line import hearth
from hearth.child_process import child_environment
from hearth.errors import MeasuringCancelled
from hearth.paths import resource
from hearth.services.hearth import Hearth
from hearth.services.quality_job import QualityProgress
from hearth.services.quality_process import evaluate_model

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " * 12


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "text.txt"
    file.write_text(TEXT, "utf-8")
    return str(file)


@pytest.fixture
def models(stories_float32: Path, stories_int8: Path) -> None:
    hearth("models", "import", str(stories_float32), "--name", "whole")
    hearth("models", "import", str(stories_int8), "--name", "small")


@pytest.mark.usefixtures("models")
def test_evaluate_compares_with_a_reference(text: str) -> None:
    evaluation = hearth("evaluate", "small", "--text", text, "--reference", "whole", "--json").json
    assert (evaluation["reference"], evaluation["window"]) == ("whole", 512)
    assert evaluation["tokens"] > 300
    ways = {measured["way"]: measured for measured in evaluation["measured"]}
    assert ways.keys() >= {"prefill", "single"}
    for measured in ways.values():
        assert 0 < measured["kl_divergence"]["value"] < 0.01
        assert 0.95 < measured["top1_agreement"]["value"] <= 1
        ratio = measured["perplexity"]["value"] / measured["reference_perplexity"]["value"]
        assert ratio == pytest.approx(1, abs=0.03)


@pytest.mark.usefixtures("models")
def test_evaluate_tells_a_person(text: str) -> None:
    alone = hearth("evaluate", "whole", "--text", text, "--threads", "1")
    assert "PERPLEXITY" in alone.out
    assert "KL DIVERGENCE" not in alone.out
    assert "windows of 512" in alone.out
    itself = hearth("evaluate", "whole", "--text", text, "--reference", "whole")
    assert "100.0 ± 0.0 %" in itself.out
    assert itself.err == ""  # nobody watches, so nothing moves


@pytest.mark.usefixtures("models")
def test_evaluate_refuses_another_vocabulary(text: str) -> None:
    hearth("models", "import", str(resource("starter", "model")), "--name", "other")
    line = hearth("evaluate", "whole", "--text", text, "--reference", "other").error_line()
    assert "other cannot be the reference of whole" in line


@pytest.mark.usefixtures("models")
def test_evaluate_refuses_what_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "text"
    assert "text" in hearth("evaluate", "whole", "--text", str(file)).error_line()
    file.write_bytes(b"\xff\xfe\xff")
    assert "not UTF-8 text" in hearth("evaluate", "whole", "--text", str(file)).error_line()
    file.write_bytes(b"")
    assert "too short" in hearth("evaluate", "whole", "--text", str(file)).error_line()


def test_evaluate_refuses_a_model_that_is_not_there(text: str) -> None:
    assert "no model named" in hearth("evaluate", "nobody", "--text", text).error_line()


def test_evaluate_needs_a_text() -> None:
    result = hearth("evaluate", "one")
    assert result.code == 2
    assert "--text is missing" in result.err


@pytest.mark.usefixtures("models")
def test_evaluate_loads_no_onnx_runtime_into_its_own_process(text: str) -> None:
    program = (
        "import sys\n"
        "from hearth.main import main\n"
        "code = main(sys.argv[1:])\n"
        "sys.exit(code or 'onnxruntime' in sys.modules)\n"
    )
    command = [sys.executable, "-c", program, "evaluate", "small", "--text", text, "--json"]
    done = subprocess.run(command, env=child_environment(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout)["window"] == 512


@pytest.mark.usefixtures("models")
def test_evaluating_tells_how_far_it_is_and_can_be_stopped(text: str) -> None:
    told: list[QualityProgress] = []

    def stop() -> bool:
        return bool(told)

    opened = Hearth.open()
    try:
        with pytest.raises(MeasuringCancelled, match="small"):
            evaluate_model(
                opened.models,
                opened.config.engine,
                "small",
                Path(text).read_text("utf-8"),
                progress=told.append,
                cancelled=stop,
            )
    finally:
        opened.close()
    assert 0 < told[0].done <= told[0].total


@pytest.mark.skipif(os.name != "posix", reason="a signal as Ctrl+C sends it")
@pytest.mark.usefixtures("models")
def test_control_c_ends_evaluating_with_its_process(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text(TEXT * 200, "utf-8")
    command = [sys.executable, "-m", "hearth", "evaluate", "small", "--text", str(file)]
    environment = child_environment()
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        children: list[psutil.Process] = []
        while not children and program.poll() is None:
            time.sleep(0.001)
            children = psutil.Process(program.pid).children()
        program.send_signal(signal.SIGINT)
        _, said = program.communicate()
    assert (program.returncode, said) == (130, "")
    assert children
    assert psutil.wait_procs(children, timeout=60)[1] == []
