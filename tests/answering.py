"""One prompt answered by a real backend."""

from __future__ import annotations

from hearth.engine.host.protocol import Submit
from hearth.engine.ort_backend import OrtBackend
from hearth.engine.outputs import Usage
from hearth.engine.sampling_params import SamplingParams


def answer(backend: OrtBackend, prompt: list[int]) -> tuple[list[int], Usage]:
    """The 20 likeliest tokens, and what they cost."""
    params = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
    backend.submit(Submit(request_id="a", params=params, token_ids=prompt))
    tokens: list[int] = []
    while True:
        for output in backend.step():
            tokens += output.token_ids
            if output.usage is not None:
                return tokens, output.usage
