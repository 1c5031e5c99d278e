"""What a host has computed is there again after a restart: the starter, through real processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from answering import answer
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, Outputs, Ready, Submit
from hearth.engine.kv_store import LEAST_TOKENS
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.outputs import Usage
from hearth.engine.sampling_params import SamplingParams
from hearth.model_folder.folder import ModelFolder
from hearth.paths import resource

PROMPT = [40 + number * 7 % 400 for number in range(LEAST_TOKENS + 100)]


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    return EngineOptions(
        threads=1, kv_cache_bytes=1 << 27, kv_store_folder=str(tmp_path / "kept"), kv_store_bytes=1 << 28
    )


def opened(options: EngineOptions) -> OrtBackend:
    return OrtBackend(ModelFolder.open(resource("starter", "model")), "starter", options)


def test_a_conversation_goes_on_after_a_restart_as_it_would_have(options: EngineOptions) -> None:
    backend = opened(options)
    said, usage = answer(backend, PROMPT)
    assert usage.cached_tokens == 0
    second = [*PROMPT, *said, 50, 51, 52]
    while backend.tidy():
        pass
    expected, usage = answer(backend, second)
    assert usage.cached_tokens == len(PROMPT) + len(said) - 1

    backend = opened(options)
    tokens, usage = answer(backend, second)
    assert usage.cached_tokens == len(PROMPT) + len(said) - 1
    assert tokens == expected


def test_a_request_in_the_middle_of_storing_is_answered_right(options: EngineOptions) -> None:
    backend = opened(options)
    said, _ = answer(backend, PROMPT)
    assert backend.tidy()
    assert answer(backend, PROMPT)[0] == said
    while backend.tidy():
        pass
    (file,) = Path(options.kv_store_folder).iterdir()
    assert file.suffix == ".kv"


def test_with_damaged_files_the_answer_is_computed_anew(options: EngineOptions) -> None:
    backend = opened(options)
    said, _ = answer(backend, PROMPT)
    while backend.tidy():
        pass
    (file,) = Path(options.kv_store_folder).iterdir()
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)
    tokens, usage = answer(opened(options), PROMPT)
    assert tokens == said
    assert usage.cached_tokens == 0
    assert not file.exists()


def test_where_not_all_fit_the_newest_conversations_are_kept(options: EngineOptions) -> None:
    backend = opened(options)
    prompts = [[token + number for token in PROMPT] for number in range(3)]
    for prompt in prompts:
        answer(backend, prompt)
    room = int(2.5 * len(PROMPT) * backend.info.kv_bytes_per_token)
    backend._runner.kv_store.byte_limit = room  # type: ignore[union-attr]
    while backend.tidy():
        pass
    backend = opened(options)
    cached = [answer(backend, prompt)[1].cached_tokens for prompt in prompts]
    # Of the one that is gone, a neighbour may know the beginning.
    assert [tokens > LEAST_TOKENS for tokens in cached] == [False, True, True]


def ended(client: HostClient, prompt: list[int]) -> Usage:
    params = SamplingParams(temperature=0, max_tokens=5, ignore_eos=True)
    client.send(Submit(request_id="a", params=params, token_ids=prompt))
    while True:
        reply = client.receive()
        assert isinstance(reply, Outputs)
        for output in reply.items:
            if output.usage is not None:
                return output.usage


def test_a_host_that_is_closed_keeps_what_it_computed(options: EngineOptions) -> None:
    cached = []
    for _ in range(2):
        client = HostClient("starter")
        folder = str(resource("starter", "model"))
        client.send(Load(version=VERSION, name="starter", folder=folder, roots=[], options=options))
        assert isinstance(client.receive(), Ready)
        cached.append(ended(client, PROMPT).cached_tokens)
        client.close()
    assert cached == [0, len(PROMPT) - 2]
