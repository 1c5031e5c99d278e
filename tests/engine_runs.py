"""Requests run through an engine to their end."""

from __future__ import annotations

from hearth.engine.engine import Engine
from hearth.engine.outputs import RequestOutput
from hearth.engine.sampling_params import SamplingParams

GREEDY = SamplingParams(temperature=0)


def greedy(max_tokens: int | None) -> SamplingParams:
    return SamplingParams(temperature=0, max_tokens=max_tokens)


def collect(outputs: list[RequestOutput], into: dict[str, list[int]]) -> None:
    for output in outputs:
        into.setdefault(output.request_id, []).extend(output.token_ids)


def run(engine: Engine) -> tuple[dict[str, list[int]], dict[str, RequestOutput]]:
    """Step until nothing is left; the tokens and the last output of each request."""
    tokens: dict[str, list[int]] = {}
    last: dict[str, RequestOutput] = {}
    while engine.has_work:
        outputs = engine.step()
        collect(outputs, tokens)
        last |= {output.request_id: output for output in outputs if output.finish_reason}
    return tokens, last
