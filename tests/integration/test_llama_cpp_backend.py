"""GGUF files in llama.cpp: the golden tokens, many answers at once, and what ends an answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from jsonschema import validate

from gguf_bytes import gguf, llama_keys
from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import ChatMessage, EngineOptions, Submit
from hearth.engine.llama_cpp_backend import LlamaCppBackend
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ChatTemplateMissing, HearthError, ModelLoadFailed, PromptTooLong, RequestInvalid
from hearth.model_folder.gguf_file import read_gguf

PROMPTS = (
    "Once upon a time",
    "The dog",
    "Lily was",
    "A big red ball",
    "One day",
    "Tom and Sam",
    "She saw",
    "In",
)
GREEDY = SamplingParams(temperature=0, max_tokens=24)
# One thread: several wait for each other in loops, which takes for ever where other tests run.
OPTIONS = EngineOptions(threads=1, kv_cache_bytes=64 << 20)


@pytest.fixture(scope="module")
def backend(stories_gguf: Path) -> LlamaCppBackend:
    return LlamaCppBackend(read_gguf(stories_gguf), "stories", OPTIONS)


def answers(backend: LlamaCppBackend, requests: dict[str, Submit]) -> dict[str, list[RequestOutput]]:
    for request in requests.values():
        backend.submit(request)
    outputs: dict[str, list[RequestOutput]] = {name: [] for name in requests}
    while backend.has_work:
        for output in backend.step():
            outputs[output.request_id].append(output)
    return outputs


def answer(
    backend: LlamaCppBackend, prompt: str | list[int], params: SamplingParams = GREEDY
) -> list[RequestOutput]:
    text, tokens = (prompt, None) if isinstance(prompt, str) else (None, prompt)
    request = Submit(request_id="one", params=params, text=text, token_ids=tokens)
    return answers(backend, {"one": request})["one"]


def tokens(outputs: list[RequestOutput]) -> list[int]:
    return [token for output in outputs for token in output.token_ids]


def text(outputs: list[RequestOutput]) -> str:
    return "".join(output.text for output in outputs)


def test_the_golden_tokens(backend: LlamaCppBackend, shared_data: Path) -> None:
    golden = json.loads((shared_data / "models/stories260k/golden.json").read_text())
    outputs = answer(backend, [golden["bos"]], SamplingParams(temperature=0, max_tokens=64))
    assert tokens(outputs) == golden["greedy_ids"]
    assert sum(bool(output.text) for output in outputs) > 40, "it comes token by token"
    last = outputs[-1]
    assert last.finish_reason is FinishReason.LENGTH
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.generated_tokens) == (1, 64)


def test_eight_at_once_answer_as_they_do_alone(backend: LlamaCppBackend) -> None:
    alone = [tokens(answer(backend, prompt)) for prompt in PROMPTS]
    together = answers(
        backend,
        {str(n): Submit(request_id=str(n), params=GREEDY, text=prompt) for n, prompt in enumerate(PROMPTS)},
    )
    assert [tokens(together[str(n)]) for n in range(8)] == alone


def test_an_abort_frees_the_slot_and_leaves_the_others(backend: LlamaCppBackend) -> None:
    alone = tokens(answer(backend, "The dog"))
    endless = SamplingParams(temperature=0, ignore_eos=True)
    backend.submit(Submit(request_id="long", params=endless, text="Once upon a time"))
    backend.submit(Submit(request_id="other", params=GREEDY, text="The dog"))
    heard: list[RequestOutput] = []
    while sum(len(output.token_ids) for output in heard if output.request_id == "long") < 3:
        heard += backend.step()
    ended = backend.abort("long")
    assert ended is not None
    assert ended.finish_reason is FinishReason.ABORT
    assert backend.abort("long") is None
    while backend.has_work:
        heard += backend.step()
    assert tokens([output for output in heard if output.request_id == "other"]) == alone
    while backend.stats()["running"]:
        backend.step()
    whole = SamplingParams(temperature=0, max_tokens=500, ignore_eos=True)
    assert len(tokens(answer(backend, "Once", whole))) == 500, "all of the context is free again"


def test_more_requests_than_slots_and_context_wait_for_their_turn(stories_gguf: Path) -> None:
    small = LlamaCppBackend(
        read_gguf(stories_gguf), "s", EngineOptions(threads=1, kv_cache_bytes=1 << 20, max_slots=2)
    )
    params = SamplingParams(temperature=0, max_tokens=300, ignore_eos=True)
    outputs = answers(
        small, {str(n): Submit(request_id=str(n), params=params, text="The dog") for n in range(3)}
    )
    assert [len(tokens(outputs[str(n)])) for n in range(3)] == [300] * 3


def test_stop_texts_and_stop_tokens_end_an_answer(backend: LlamaCppBackend) -> None:
    plain = answer(backend, "Once upon a time")
    stopped = answer(backend, "Once upon a time", SamplingParams(temperature=0, stop=("little", "girl")))
    assert text(stopped) == text(plain).split("little")[0]
    assert stopped[-1].finish_reason is FinishReason.STOP
    third = tokens(plain)[2]
    by_token = answer(backend, "Once upon a time", SamplingParams(temperature=0, stop_token_ids=(third,)))
    assert tokens(by_token) == tokens(plain)[:3]
    assert by_token[-1].finish_reason is FinishReason.STOP


def test_the_same_seed_gives_the_same_answer(backend: LlamaCppBackend) -> None:
    def drawn(seed: int) -> str:
        return text(answer(backend, "Once", SamplingParams(temperature=1.0, seed=seed, max_tokens=20)))

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_penalties_and_bias_change_the_answer(backend: LlamaCppBackend) -> None:
    plain = tokens(answer(backend, "Once upon a time"))
    for params in (
        SamplingParams(temperature=0, max_tokens=24, repetition_penalty=20.0),
        SamplingParams(temperature=0, max_tokens=24, presence_penalty=50.0),
        SamplingParams(temperature=0, max_tokens=24, logit_bias={plain[0]: -100.0}),
    ):
        assert tokens(answer(backend, "Once upon a time", params)) != plain


def test_logprobs_are_those_of_the_model(backend: LlamaCppBackend) -> None:
    outputs = answer(backend, "Once", SamplingParams(temperature=0, max_tokens=2, logprobs=2))
    told = [each for output in outputs for each in output.logprobs]
    assert [each.token_id for each in told] == tokens(outputs)
    assert [len(each.top) for each in told] == [2, 2]
    assert all(each.logprob == each.top[0][1] <= 0 for each in told)


def test_a_json_schema_is_held_to(backend: LlamaCppBackend) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["Lily", "Tom"]}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    params = SamplingParams(temperature=0, max_tokens=100, grammar=Grammar(json_schema=json.dumps(schema)))
    outputs = answer(backend, "Once", params)
    assert outputs[-1].finish_reason is FinishReason.STOP
    validate(json.loads(text(outputs)), schema)


def test_choices_and_gbnf_are_held_to(backend: LlamaCppBackend) -> None:
    choice = SamplingParams(max_tokens=20, grammar=Grammar(choice=("你好", "no")))
    outputs = answer(backend, "Once", choice)
    assert text(outputs) in ("你好", "no")
    assert outputs[-1].usage is not None
    assert len(tokens(outputs)) <= outputs[-1].usage.generated_tokens
    gbnf = SamplingParams(max_tokens=20, grammar=Grammar(gbnf='root ::= "a" [0-9] "b"'))
    assert text(answer(backend, "Once", gbnf))[::2] == "ab"


def test_a_grammar_that_cannot_be_used_ends_its_request_alone(backend: LlamaCppBackend) -> None:
    broken = answer(backend, "Once", SamplingParams(grammar=Grammar(gbnf="root ::= [0-")))
    assert broken[-1].error is not None
    assert broken[-1].error.code == RequestInvalid.code
    with pytest.raises(RequestInvalid):
        answer(backend, "Once", SamplingParams(grammar=Grammar(regex="a+")))
    assert tokens(answer(backend, "The dog"))


def test_prompts_are_counted_and_those_too_long_refused(backend: LlamaCppBackend) -> None:
    assert backend.count(None, "Once upon a time") == 5, "the BOS token is one of them"
    assert backend.count(None, "<s>Once upon a time") == 5, "and comes once"
    with pytest.raises(PromptTooLong):
        answer(backend, "the cat " * 600)
    with pytest.raises(ChatTemplateMissing):
        backend.count([ChatMessage("user", "Hello")], None)
    invalid = answer(backend, [99_999])
    assert invalid[-1].error is not None


def test_nobody_can_connect_to_it(backend: LlamaCppBackend, tmp_path: Path) -> None:
    import psutil

    listening = [one for one in psutil.Process().net_connections("all") if one.status == "LISTEN"]
    assert not listening
    sockets = [
        one.laddr for one in psutil.Process().net_connections("unix") if str(one.laddr).endswith("s.sock")
    ]
    assert all(not Path(str(path)).exists() for path in sockets)


def test_an_unknown_architecture_and_a_damaged_model_are_told(tmp_path: Path, stories_gguf: Path) -> None:
    unknown = tmp_path / "unknown.gguf"
    unknown.write_bytes(gguf(llama_keys(architecture="martian")))
    with pytest.raises(ModelLoadFailed, match="does not know the architecture “martian”"):
        LlamaCppBackend(read_gguf(unknown), "unknown", OPTIONS)
    hollow = tmp_path / "hollow.gguf"
    hollow.write_bytes(gguf(llama_keys()))  # the header is sound, and most of the model is not there
    with pytest.raises(HearthError) as refused:
        LlamaCppBackend(read_gguf(hollow), "hollow", OPTIONS)
    assert "\n" not in str(refused.value)


def test_a_chat_template_of_the_file_is_rendered_by_hearth(tmp_path: Path, stories_gguf: Path) -> None:
    import msgspec

    template = "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
    file = msgspec.structs.replace(read_gguf(stories_gguf), chat_template=template)
    chat = LlamaCppBackend(file, "chat", OPTIONS)
    assert chat.info.has_chat_template
    messages = [ChatMessage("user", "Once upon a time")]
    assert chat.count(messages, None) == 5
    outputs = answers(chat, {"c": Submit(request_id="c", params=GREEDY, messages=messages)})["c"]
    assert tokens(outputs) == tokens(answer(chat, "Once upon a time"))


def test_int8_keys_and_values(tmp_path: Path, stories_gguf: Path) -> None:
    shutil.copy(stories_gguf, tmp_path / "m.gguf")
    options = EngineOptions(threads=1, kv_cache_bytes=64 << 20, kv_cache_type="int8")
    with pytest.raises(ModelLoadFailed):  # its heads of 8 are no blocks of 32: llama.cpp refuses, in one line
        LlamaCppBackend(read_gguf(tmp_path / "m.gguf"), "int8", options)
