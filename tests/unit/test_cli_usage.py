"""What the command line says by itself: help, usage, and what is wrong with a command."""

from __future__ import annotations

import re
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import hearth
from hearth.cli.output import text_width
from hearth.cli.usage import wrapped
from hearth.quantize.recipe_file import recipe_names


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nonsense"], "there is no command nonsense"),
        (["doctr"], "there is no command doctr, but there is doctor"),
        (["--nonsense"], "there is no option --nonsense"),
        (["run", "a", "b", "--top"], "there is no option --top, but there is --"),
        (["run", "-x"], "there is no option -x"),
        (["run"], "MODEL is missing"),
        (["models", "show"], "NAME is missing"),
        (["models", "show", "a", "b", "c"], "there is no place for “b c”"),
        (["run", "a", "b", "--seed"], "--seed needs a value"),
        (["run", "a", "b", "--raw=1"], "--raw takes no value"),
        (["run", "a", "b", "--seed", "x"], "--seed must be a whole number"),
        (["run", "a", "b", "--seed", "1.5"], "--seed must be a whole number"),
        (["run", "a", "b", "--top-p", "x"], "--top-p must be a number"),
        (["bench", "a", "--repeat", "0"], "--repeat must be at least 1"),
        (["run", "a", "b", "--threads", "-1"], "--threads must be at least 0"),
    ],
)
def test_what_is_wrong_with_a_command(arguments: list[str], reason: str) -> None:
    result = hearth(*arguments)
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith(f"hearth: The command cannot be understood: {reason}")


def test_a_group_without_a_command_shows_its_help() -> None:
    assert hearth("models").err == hearth("models", "--help").out


def test_help_says_what_is_optional_and_what_the_defaults_are() -> None:
    assert "\nUsage: hearth run [OPTIONS] MODEL PROMPT\n" in "\n" + hearth("run", "--help").out
    assert "\nUsage: hearth chat [OPTIONS] [MODEL]\n" in "\n" + hearth("chat", "--help").out
    assert (
        "--repeat NUMBER           Runs of each; the median counts. [default: 5]\n"
        in hearth("bench", "-h").out
    )


COMMANDS = ["", "run", "chat", "quantize", "bench", "evaluate", "doctor", "help"]
COMMANDS += ["models" + name for name in ("", " list", " show", " import", " alias", " verify", " remove")]
COMMANDS += ["models " + name for name in ("rename", "settings", "find", "add")]
COMMANDS += ["models add-remote", "models set-key"]
COMMANDS += ["models" + name for name in (" pull", " search", " login", " logout")]
COMMANDS += ["models catalogue", "models fit"]

IN_CHINESE = """
import io, sys
from contextlib import redirect_stderr, redirect_stdout
import msgspec
from hearth.main import main
said = {}
for line in msgspec.json.decode(sys.argv[1]):
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out):
        main(line.split())
    said[line] = out.getvalue()
sys.stdout.write(msgspec.json.encode(said).decode())
"""


def test_all_of_it_is_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Help is put together when the commands are imported: so in a process of its own."""
    wrong = ["nonsense", "doctr", "--nonsense", "run", "run a b --top", "models show a b", "run a b --seed"]
    wrong += ["run a b --raw=1", "run a b --seed x", "run a b --top-p x", "bench a --repeat 0"]
    failing = ["run a b", "models show a", "models import nowhere", "models alias a b", "chat nowhere"]
    lines = [
        *(f"{command} --help".strip() for command in COMMANDS),
        *wrong,
        *failing,
        "models list",
        "doctor",
    ]
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.setenv(variable, "zh_CN.UTF-8")
    process = subprocess.run(
        [sys.executable, "-c", IN_CHINESE, msgspec.json.encode(lines)], capture_output=True, check=True
    )
    said = msgspec.json.decode(process.stdout, type=dict[str, str])
    assert list(said) == lines
    for line, text in said.items():
        assert re.search("[\u4e00-\u9fff]", text), line
        assert _english(text, line) == [], text


def _english(text: str, line: str) -> list[str]:
    """Words in Latin letters that are neither names nor commands nor what was typed."""
    text = re.sub(r"/[\w./-]+|-{1,2}[\w-]+|\S+\.\w+", "", text)
    names = {
        "hearth",
        "Hearth",
        "AI",
        "JSON",
        "UTF",
        "ONNX",
        "Runtime",
        "onnxruntime",
        "genai",
        "PySide6",
        "Lark",
        "GBNF",
        *recipe_names(),
        "GGUF",
        "GGML",
        "OpenAI",
        "https",
        "http",
        "API",
    }
    names |= {
        "kB",
        "MB",
        "GB",
        "CPU",
        "GPU",
        "CUDA",
        "DirectML",
        "DirectX",
        "WebGPU",
        "OpenVINO",
        "Hugging",
        "Face",
        "balanced",
        "original",
        "long",
        "q4_k_m",
    }
    names |= {"NVIDIA", "AMD", "Intel", "Apple", "Core", "ML", "Mac"}
    names |= {word for command in COMMANDS for word in re.split("[ -]", command)} | set(line.split())
    system = re.compile(r"^(?:Hearth|系统|处理器|ONNX Runtime|模型运行于|窗口|CPU) .*$", re.MULTILINE)
    return [word for word in re.findall(r"[A-Za-z]{2,}\w*", system.sub("", text)) if word not in names]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, []),
        ("one two three", 8, ["one two", "three"]),
        ("one two three", 13, ["one two three"]),
        ("a-word-that-is-too-long for it", 10, ["a-word-that-is-too-long", "for it"]),
        ("选择由哪个模型回答", 10, ["选择由哪个", "模型回答"]),
        ("选择由哪个，模型回答。", 10, ["选择由哪", "个，模型回", "答。"]),
        ("添加 onnxruntime-genai 格式", 20, ["添加", "onnxruntime-genai 格", "式"]),
    ],
)
def test_lines_are_broken_where_a_reader_expects_it(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines


@given(st.text(alphabet="ab -选，。（）“”", max_size=40))
def test_nothing_is_lost_when_lines_are_broken(text: str) -> None:
    lines = wrapped(text, 8)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(line == line.rstrip() for line in lines)
    assert all(
        text_width(line) <= 8 or not re.search(r"选[^，。）”]", line[:-1])
        for line in lines
        if " " not in line
    )
