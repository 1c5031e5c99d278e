"""Answers that match a grammar, through the engine and its text side, on real weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from command_line import hearth
from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage, EngineOptions, Submit
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 130},
        "kind": {"enum": ["cat", "dog", "crow"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}
MESSAGES = [ChatMessage("user", "What can you do?")]


def opened(*, drafts: bool) -> OrtBackend:
    options = EngineOptions(threads=1, max_slots=4, kv_cache_bytes=1 << 27, drafts=drafts)
    return OrtBackend(ModelFolder.open(resource("starter", "model")), "starter", options)


@pytest.fixture(scope="module", params=[True, False], ids=["drafts", "plain"])
def backend(request: pytest.FixtureRequest) -> OrtBackend:
    return opened(drafts=request.param)


def submit(backend: OrtBackend, request_id: str, grammar: Grammar | None, **params: object) -> None:
    sampling = SamplingParams(**{"temperature": 1.0, "grammar": grammar, **params})  # type: ignore[arg-type]
    backend.submit(Submit(request_id=request_id, messages=MESSAGES, params=sampling))


def answers(backend: OrtBackend) -> dict[str, RequestOutput]:
    """Run to the end; the last output of each request, with all of its text and tokens."""
    ended: dict[str, RequestOutput] = {}
    texts: dict[str, str] = {}
    tokens: dict[str, list[int]] = {}
    while backend.has_work:
        for output in backend.step():
            name = output.request_id
            texts[name] = texts.get(name, "") + output.text
            tokens[name] = [*tokens.get(name, []), *output.token_ids]
            if output.finish_reason is not None:
                ended[name] = output
    for name, output in ended.items():
        output.text, output.token_ids = texts.get(name, ""), tokens.get(name, [])
    return ended


@pytest.mark.parametrize("params", [{}, {"temperature": 0}, {"top_k": 5}, {"top_p": 0.5, "logprobs": 2}])
def test_answers_match_their_grammars_side_by_side(backend: OrtBackend, params: dict[str, object]) -> None:
    for seed in range(3):
        submit(backend, f"json{seed}", Grammar(json_schema=json.dumps(SCHEMA)), seed=seed, **params)
        submit(backend, f"regex{seed}", Grammar(regex=r"[a-f]{3}-\d{2,4}"), seed=seed, **params)
        submit(backend, f"choice{seed}", Grammar(choice=("yes", "no", "perhaps")), seed=seed, **params)
        submit(backend, f"plain{seed}", None, seed=seed, max_tokens=20, **params)
    ended = answers(backend)
    for seed in range(3):
        jsonschema.validate(json.loads(ended[f"json{seed}"].text), SCHEMA)
        assert re.fullmatch(r"[a-f]{3}-\d{2,4}", ended[f"regex{seed}"].text)
        assert ended[f"choice{seed}"].text in ("yes", "no", "perhaps")
    assert all(
        output.finish_reason is FinishReason.STOP for name, output in ended.items() if "plain" not in name
    )


def test_an_answer_does_not_depend_on_the_others() -> None:
    """Without drafts, since int8 rounds their rows otherwise than a row alone."""
    backend = opened(drafts=False)
    grammar = Grammar(json_schema=json.dumps(SCHEMA))
    submit(backend, "alone", grammar, seed=5)
    alone = answers(backend)["alone"].text
    for number in range(4):
        submit(backend, f"{number}", grammar, seed=5 + number)
    assert answers(backend)["0"].text == alone


def test_a_grammar_that_is_refused_ends_its_request_alone(backend: OrtBackend) -> None:
    submit(backend, "other", None, max_tokens=30, temperature=0)
    submit(backend, "bad", Grammar(regex="(?=a)b"))
    submit(backend, "nothing", Grammar(json_schema='{"type": "object", "properties": 3}'))
    ended = answers(backend)
    for name in ("bad", "nothing"):
        error = ended[name].error
        assert error is not None
        assert ended[name].finish_reason is FinishReason.ERROR
        assert "is not taken" in error.error().what_text()
    assert ended["other"].finish_reason in (FinishReason.STOP, FinishReason.LENGTH)
    assert ended["other"].text


def test_a_request_is_aborted_while_its_grammar_is_compiled(backend: OrtBackend) -> None:
    submit(backend, "gone", Grammar(regex="[a-z]{1,300}"))
    output = backend.abort("gone")
    assert output is not None
    assert output.finish_reason is FinishReason.ABORT
    assert not backend.has_work
    assert backend.step() == []


def test_a_defect_of_the_library_ends_its_request_alone(
    backend: OrtBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    submit(backend, "other", None, max_tokens=10, temperature=0)
    with monkeypatch.context() as patched:
        patched.setattr("hearth.engine.grammar_matcher.LLMatcher", broken)
        submit(backend, "broken", Grammar(choice=("yes",)))
        ended = answers(backend)
    assert ended["broken"].finish_reason is FinishReason.ERROR
    assert ended["other"].text


def test_the_end_of_sequence_ends_an_answer_that_could_go_on(backend: OrtBackend) -> None:
    """Even where ends are to be ignored: after it nothing could come that matches."""
    for number in range(5):
        submit(backend, f"{number}", Grammar(regex="a*"), seed=number, ignore_eos=True, logit_bias={2: 10.0})
    for output in answers(backend).values():
        assert re.fullmatch("a*", output.text)


def test_text_that_was_drafted_with_the_end_is_not_lost() -> None:
    """An answer that was given before comes again as drafts; the last of them ends in the middle of a draft."""
    texts: dict[bool, str] = {}
    for drafts in (True, False):
        backend = opened(drafts=drafts)
        question = ChatMessage("user", "What can you do?")
        params = SamplingParams(temperature=0)
        backend.submit(Submit(request_id="first", messages=[question], params=params))
        first = answers(backend)["first"]
        messages = [question, ChatMessage("assistant", first.text), question]
        backend.submit(Submit(request_id="again", messages=messages, params=params))
        texts[drafts] = answers(backend)["again"].text
    assert texts[True] == texts[False]


# The command line


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("hearth.models.registry.built_in_folders", lambda: (resource("starter", "model"),))
    return "hearth-starter"


def test_run_holds_an_answer_to_a_schema(starter: str, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA), encoding="utf-8")
    result = hearth("run", starter, "Who are you?", "--json-schema", str(schema), "--seed", "3")
    jsonschema.validate(json.loads(result.out), SCHEMA)


def test_run_holds_an_answer_to_an_expression_or_a_choice(starter: str, tmp_path: Path) -> None:
    assert re.fullmatch(r"\d{3}\n", hearth("run", starter, "Hello", "--regex", r"\d{3}").out)
    assert hearth("run", starter, "Hello", "--choice", "red", "--choice", "blue").out in ("red\n", "blue\n")
    lark = tmp_path / "grammar.lark"
    lark.write_text('start: "a" ("b" | "d") "c"', encoding="utf-8")
    assert re.fullmatch("a[bd]c\n", hearth("run", starter, "Hello", "--lark", str(lark), "--top-k", "2").out)


def test_a_schema_from_an_editor_that_marks_utf_8_is_read(starter: str, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_bytes(b"\xef\xbb\xbf" + json.dumps({"enum": ["yes"]}).encode())
    assert hearth("run", starter, "Hello", "--json-schema", str(schema)).out == '"yes"\n'


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--regex", "(", "--temperature", "0"], "the regular expression is not taken"),
        (["--regex", "a", "--choice", "b"], "exactly one of"),
        (["--json-schema", "missing.json"], "missing.json"),
        (["--choice", ""], "empty text"),
    ],
)
def test_run_says_what_is_wrong_with_a_grammar(starter: str, options: list[str], reason: str) -> None:
    result = hearth("run", starter, "Hello", *options)
    assert result.code != 0
    assert reason in result.err
    assert len(result.err.splitlines()) <= 2
    assert result.out.strip() == ""
