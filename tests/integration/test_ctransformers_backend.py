"""Files of GGML's old formats in ctransformers: the golden tokens, and one answer after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hearth.engine.ctransformers_backend import CTransformersBackend
from hearth.engine.grammar import Grammar
from hearth.engine.host.protocol import EngineOptions, Submit
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.sampling_params import SamplingParams
from hearth.errors import ModelLoadFailed, RequestInvalid

PROMPTS = ("Once upon a time", "The dog", "Lily was")
GREEDY = SamplingParams(temperature=0, max_tokens=16)
OPTIONS = EngineOptions(threads=1, kv_cache_bytes=64 << 20)


@pytest.fixture(scope="module")
def backend(stories_gguf: Path) -> CTransformersBackend:
    return CTransformersBackend(stories_gguf, "stories", "llama", OPTIONS)


def answers(backend: CTransformersBackend, *requests: Submit) -> dict[str, list[RequestOutput]]:
    outputs: dict[str, list[RequestOutput]] = {request.request_id: [] for request in requests}
    for request in requests:
        backend.submit(request)
    while backend.has_work:
        for output in backend.step():
            outputs[output.request_id].append(output)
    return outputs


def tokens(outputs: list[RequestOutput]) -> list[int]:
    return [token for output in outputs for token in output.token_ids]


def test_the_golden_tokens(backend: CTransformersBackend, shared_data: Path) -> None:
    golden = json.loads((shared_data / "models/stories260k/golden.json").read_text())
    params = SamplingParams(temperature=0, max_tokens=64)
    outputs = answers(backend, Submit(request_id="g", params=params, token_ids=[golden["bos"]]))["g"]
    assert tokens(outputs) == golden["greedy_ids"]
    assert outputs[-1].finish_reason is FinishReason.LENGTH


def test_requests_wait_for_each_other_and_answer_as_they_do_alone(backend: CTransformersBackend) -> None:
    requests = [Submit(request_id=prompt, params=GREEDY, text=prompt) for prompt in PROMPTS]
    together = answers(backend, *requests)
    for request in requests:
        assert tokens(answers(backend, request)[request.request_id]) == tokens(together[request.request_id])


def test_an_abort_lets_the_next_one_begin(backend: CTransformersBackend) -> None:
    endless = SamplingParams(temperature=0, ignore_eos=True)
    backend.submit(Submit(request_id="long", params=endless, text="Once"))
    backend.submit(Submit(request_id="next", params=GREEDY, text="The dog"))
    for _ in range(5):
        backend.step()
    ended = backend.abort("long")
    assert ended is not None
    assert ended.finish_reason is FinishReason.ABORT
    heard: list[RequestOutput] = []
    while backend.has_work:
        heard += backend.step()
    assert len(tokens(heard)) == 16


def test_hearth_samples_itself_so_its_parameters_hold(backend: CTransformersBackend) -> None:
    params = SamplingParams(temperature=0, max_tokens=2, logprobs=3, stop=("never",), min_p=0.1)
    outputs = answers(backend, Submit(request_id="l", params=params, text="Once"))["l"]
    assert [len(each.top) for output in outputs for each in output.logprobs] == [3, 3]


def test_a_grammar_is_refused_in_words(backend: CTransformersBackend) -> None:
    params = SamplingParams(grammar=Grammar(choice=("a",)))
    with pytest.raises(RequestInvalid, match="convert it to GGUF"):
        backend.submit(Submit(request_id="g", params=params, text="Once"))


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "old.bin"
    file.write_bytes(b"tjgg" + b"\x03\0\0\0" + b"\0" * 64)
    with pytest.raises(ModelLoadFailed):
        CTransformersBackend(file, "old", "llama", OPTIONS)
