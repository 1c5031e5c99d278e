"""`hearth run` with a real model: the golden answer, streaming, limits, and stopping."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import hearth
from hearth.cli import run as run_command


@pytest.fixture
def golden(shared_data: Path) -> list[int]:
    file = shared_data / "models" / "stories260k" / "golden.json"
    content = json.loads(file.read_text("utf-8"))
    return next(value for value in content.values() if isinstance(value, list) and len(value) == 64)


@pytest.fixture
def stories(stories_float32: Path) -> str:
    assert hearth("models", "import", str(stories_float32), "--name", "stories").code == 0
    return "stories"


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_golden_tokens(request: pytest.FixtureRequest, golden: list[int], precision: str) -> None:
    folder = request.getfixturevalue(f"stories_{precision}")
    assert hearth("models", "import", str(folder), "--name", "stories", "--in-place").code == 0
    result = hearth("run", "stories", "", "--raw", "--temperature", "0", "--max-tokens", "64", "--json").json
    assert result["token_ids"] == golden
    assert result["finish_reason"] == "length"
    assert result["usage"]["prompt_tokens"] == 1
    assert result["usage"]["generated_tokens"] == 64
    assert result["text"].startswith("Once upon a time")


def test_text_and_json_say_the_same(stories: str) -> None:
    options = ["run", stories, "Once upon a time", "--raw", "--seed", "7", "--max-tokens", "20"]
    assert hearth(*options).out == hearth(*options, "--json").json["text"] + "\n"


def test_the_prompt_may_come_from_standard_input(stories: str) -> None:
    options = ["--raw", "--temperature", "0", "--max-tokens", "8"]
    assert (
        hearth("run", stories, "-", *options, stdin="The dog").out
        == hearth("run", stories, "The dog", *options).out
    )


def test_the_answer_ends_before_a_stop_string(stories: str) -> None:
    options = ["run", stories, "", "--raw", "--temperature", "0", "--max-tokens", "64", "--json"]
    result = hearth(*options, "--stop", " girl", "--stop", "never said").json
    assert result["text"] == "Once upon a time, there was a little"
    assert result["finish_reason"] == "stop"


def test_threads_are_taken(stories: str) -> None:
    options = ["run", stories, "", "--raw", "--temperature", "0", "--max-tokens", "8", "--json"]
    assert hearth(*options, "--threads", "1").json["text"] == hearth(*options).json["text"]


def test_a_model_without_a_template_says_what_to_do(stories: str) -> None:
    line = hearth("run", stories, "hello").error_line()
    assert "has no chat template" in line
    assert "--raw" in line


def test_a_chat_template_is_used(stories: str, hearth_home: Path) -> None:
    template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    (hearth_home / "models" / stories / "chat_template.jinja").write_text(template)
    options = ["--temperature", "0", "--max-tokens", "8", "--json"]
    chat = hearth("run", stories, "hello", "--system", "be kind", *options).json
    assert chat["usage"]["prompt_tokens"] > 5
    raw = hearth("run", stories, "system: be kind\nuser: hello\n", "--raw", *options).json
    assert chat["usage"]["prompt_tokens"] + 1 == raw["usage"]["prompt_tokens"], "a template gets no BOS"


@pytest.mark.parametrize(
    ("option", "value"),
    [("--temperature", "-1"), ("--top-p", "2"), ("--max-tokens", "0"), ("--stop", ""), ("--seed", "-5")],
)
def test_values_without_a_meaning(stories: str, option: str, value: str) -> None:
    assert "cannot be run" in hearth("run", stories, "hi", "--raw", option, value).error_line()


def test_ctrl_c_in_the_middle_of_an_answer(stories: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "write_streamed", interrupted)
    assert hearth("run", stories, "", "--raw").code == 130
