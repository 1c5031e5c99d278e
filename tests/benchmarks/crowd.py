"""Whoever asks in the soak test: requests of every kind, at random times."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hearth.engine.sampling_params import SamplingParams
from hearth.errors import HearthError, PromptTooLong, RequestInvalid
from hearth.services.benchmark.side import random_tokens

MOST_ANSWER = 200
# How much is asked for, as a part of what the machine can do: a crowd, a household, and now and then somebody, so that
# the queue also runs empty.
LOADS = (4.0, 1.0, 0.25)
PACE_SECONDS = 60
REGEX = r"[a-f]{4}-[0-9]{2,6}"
CHOICES = ("yes", "no", "perhaps")
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dog"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        kind: what is counted.
        matches: whether a whole answer is one that was asked for.
        outputs: after so many of them the request is given up; None waits for the end.
        refusal: the error that it must end with.
    """

    kind: str
    params: SamplingParams
    token_ids: list[int] | None = None
    text: str | None = None
    matches: Callable[[str], bool] = lambda _: True
    outputs: int | None = None
    refusal: type[HearthError] | None = None

    @property
    def prompt_tokens(self) -> int:
        return len(self.token_ids or (self.text or "").split())


class Crowd:
    """Whoever asks: random requests, the same for the same seed."""

    def __init__(self, seed: int, vocab: int, context: int, most_prompt: int) -> None:
        self._chance = random.Random(seed)
        self._vocab = vocab
        self._context = context
        self.most_prompt = min(most_prompt, context - MOST_ANSWER)
        self._earlier: list[list[int]] = []
        self._grammars = _grammars()
        self._numbers = itertools.count()

    def next(self) -> Asked:
        chance = self._chance.random()
        if chance < 0.03:
            return self._refused()
        if chance < 0.15 and self._grammars:
            return self._structured()
        asked = self._text() if chance < 0.25 else self._tokens()
        if self._chance.random() < 0.15:
            outputs = self._chance.choice((0, 1, 2, 5, 20))
            return Asked("given up", asked.params, asked.token_ids, asked.text, outputs=outputs)
        return asked

    def pause(self, pace: float) -> float:
        return min(self._chance.expovariate(1 / pace), PACE_SECONDS)

    def pace(self, read_speed: float, write_speed: float) -> float:
        """Mean seconds between arrivals for the next while, by the tokens per second that the machine does."""
        work = _mean_length(self.most_prompt) / read_speed + _mean_length(MOST_ANSWER) / write_speed
        return work / self._chance.choice(LOADS)

    def _tokens(self) -> Asked:
        tokens = self._fresh(self._length(self.most_prompt))
        kind = "tokens"
        if self._earlier and self._chance.random() < 0.3:
            earlier = self._chance.choice(self._earlier)
            tokens = (earlier[: self._chance.randint(1, len(earlier))] + tokens)[: self.most_prompt]
            kind = "begins like an earlier one"
        self._earlier = [*self._earlier[-20:], tokens]
        return Asked(kind, self._params(), tokens)

    def _text(self) -> Asked:
        words = self._chance.choices(
            ("the", "cat", "sat", "on", "a", "mat", "日本", "🙂"), k=self._length(100)
        )
        return Asked("text", self._params(), text=" ".join(words))

    def _structured(self) -> Asked:
        grammar, matches = self._chance.choice(self._grammars)
        values: dict[str, Any] = {"grammar": grammar, "max_tokens": MOST_ANSWER}
        params = SamplingParams(temperature=self._chance.choice((0.0, 1.0)), **values)
        return Asked("structured", params, self._fresh(self._length(200)), matches=matches)

    def _refused(self) -> Asked:
        params = SamplingParams(max_tokens=4)
        if self._chance.random() < 0.5:
            return Asked("refused", params, [self._vocab], refusal=RequestInvalid)
        return Asked("refused", params, self._fresh(self._context), refusal=PromptTooLong)

    def _params(self) -> SamplingParams:
        chance = self._chance
        tokens, ignore_eos = self._length(MOST_ANSWER), chance.random() < 0.5
        if chance.random() < 0.3:
            return SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=ignore_eos)
        return SamplingParams(
            temperature=chance.choice((0.3, 0.7, 1.2)),
            top_k=chance.choice((0, 0, 40)),
            top_p=chance.choice((1.0, 0.95, 0.5)),
            min_p=chance.choice((0.0, 0.0, 0.05)),
            repetition_penalty=chance.choice((1.0, 1.0, 1.1)),
            frequency_penalty=chance.choice((0.0, 0.0, 0.5)),
            seed=chance.choice((None, 1, 2)),
            logprobs=chance.choice((None, None, 5)),
            max_tokens=tokens,
            ignore_eos=ignore_eos,
        )

    def _length(self, most: int) -> int:
        """Short ones are as frequent as long ones, by their number of digits."""
        return min(most, round(most ** self._chance.random()))

    def _fresh(self, tokens: int) -> list[int]:
        return random_tokens(tokens, self._vocab, f"soak {next(self._numbers)}")


def _mean_length(most: int) -> float:
    """Of `Crowd._length`."""
    return (most - 1) / math.log(most)


def _grammars() -> list[tuple[object, Callable[[str], bool]]]:
    """Those that sampling parameters can have, and whether a text matches each; none in an engine without them."""
    if "grammar" not in SamplingParams.__struct_fields__:
        return []
    from hearth.engine.grammar import Grammar

    return [
        (Grammar(json_schema=json.dumps(SCHEMA)), _is_pet),
        (Grammar(regex=REGEX), lambda text: re.fullmatch(REGEX, text) is not None),
        (Grammar(choice=CHOICES), lambda text: text in CHOICES),
    ]


def _is_pet(text: str) -> bool:
    try:
        pet = json.loads(text)
    except ValueError:
        return False
    return bool(
        isinstance(pet, dict)
        and pet.keys() == {"name", "age", "kind"}
        and isinstance(pet["name"], str)
        and len(pet["name"]) <= 12
        and pet["age"] in range(151)
        and pet["kind"] in {"cat", "dog"}
    )
