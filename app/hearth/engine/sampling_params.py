"""How the next token is chosen, and when an answer ends."""

from __future__ import annotations

import msgspec

from hearth.engine.grammar import Grammar
from hearth.errors import RequestInvalid
from hearth.i18n import tr

# Below it a distribution is as good as greedy, and its arithmetic overflows.
LEAST_TEMPERATURE = 0.001
MOST_BIAS = 100.0


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The sampling parameters of one request; the names and meanings are those of the OpenAI API and of vLLM.

    Attributes:
        temperature: 0 takes the most likely token; otherwise logits are divided by it.
        top_k: keep the k most likely tokens; 0 keeps all.
        top_p: keep the smallest set of tokens whose probabilities sum to at least p (Holtzman et al., 2020).
        min_p: keep tokens at least this fraction as likely as the most likely one (Nguyen et al., 2024).
        repetition_penalty: divides positive and multiplies negative logits of tokens already in prompt or answer
            (Keskar et al., 2019); 1 does nothing.
        presence_penalty: subtracted once from the logit of each token already in the answer.
        frequency_penalty: subtracted from a logit once per occurrence in the answer.
        logit_bias: added to the logits of these token ids.
        logprobs: how many of the most likely tokens to report with each token; None reports nothing.
        seed: the same seed, prompt and model give the same answer; None draws a fresh one.
        max_tokens: the longest answer; None means up to the end of the context.
        stop: the answer ends before the first of these strings, which is not part of it.
        stop_token_ids: the answer ends at one of these tokens, beside the model's own end-of-sequence set.
        ignore_eos: go on past the end-of-sequence tokens, for measuring.
        grammar: the answer matches it, unless it ends before that at `max_tokens`, a stop text or a stop token.
    """

    temperature: float = 0.7
    top_k: int = 0
    top_p: float = 0.95
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: dict[int, float] = {}
    logprobs: int | None = None
    seed: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    grammar: Grammar | None = None

    def check(self) -> None:
        """Raise RequestInvalid for a value that has no meaning."""
        for name, value, low, high in (
            ("temperature", self.temperature, 0.0, 100.0),
            ("top_k", self.top_k, 0, 2**31),
            ("top_p", self.top_p, 0.0, 1.0),
            ("min_p", self.min_p, 0.0, 1.0),
            ("repetition_penalty", self.repetition_penalty, 0.01, 100.0),
            ("presence_penalty", self.presence_penalty, -100.0, 100.0),
            ("frequency_penalty", self.frequency_penalty, -100.0, 100.0),
            ("logprobs", self.logprobs or 0, 0, 100),
            ("seed", self.seed or 0, 0, 2**63 - 1),
            ("max_tokens", 1 if self.max_tokens is None else self.max_tokens, 1, 2**31),
        ):
            if not low <= value <= high:  # also refuses NaN
                raise RequestInvalid(
                    reason=tr(
                        "{name} is {value}, and must be {low} to {high}",
                        name=name,
                        value=value,
                        low=low,
                        high=high,
                    )
                )
        if 0 < self.temperature < LEAST_TEMPERATURE:
            raise RequestInvalid(
                reason=tr(
                    "temperature is {value}, and must be 0, or at least {low}",
                    value=self.temperature,
                    low=LEAST_TEMPERATURE,
                )
            )
        if self.grammar is not None:
            self.grammar.check()
        if any(not text for text in self.stop):
            raise RequestInvalid(reason=tr("a stop text is empty"))
        if not all(-MOST_BIAS <= bias <= MOST_BIAS for bias in self.logit_bias.values()):
            raise RequestInvalid(
                reason=tr("a logit bias is not {low} to {high}", low=-MOST_BIAS, high=MOST_BIAS)
            )
