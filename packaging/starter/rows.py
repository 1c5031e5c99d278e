"""Conversations as the batches that the network is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
from corpus import Corpus, Turn
from teacher import Teacher
from tokenizers import Tokenizer
from torch import Tensor
from vocabulary import TURN_END, TURN_START, topic_token

ROW_TOKENS = 256
ROWS = 8
# Conversations to choose from while a row is filled.
_WAITING = 24
# For answers that are never cut: sums, and what repeats something.
_WORKED_WEIGHT = 2.0
_TOPIC_WEIGHT = 3.0
# Questions of lessons that end as another question does, and those that lack some words.
_MIXED_SHARE = 0.4
_BROKEN_SHARE = 0.15
_LOST_WORDS = 0.2


@dataclass(frozen=True)
class Batch:
    """Rows of conversations.

    Attributes:
        ids: tokens, [rows, tokens].
        mask: True where a token may look, [rows, 1, tokens, tokens]; no conversation sees another.
        weights: what each token counts as one to be foretold, [rows, tokens].
        judged: places in the flattened ids whose next token is a topic that the teacher has judged, [judged].
        judgement: how likely each topic is there, [judged, topics].
        judged_weight: what each of those places counts.
    """

    ids: Tensor
    mask: Tensor
    weights: Tensor
    judged: Tensor
    judgement: Tensor
    judged_weight: float


@dataclass(frozen=True)
class _Example:
    """A conversation: tokens, what each counts, and the question to be judged, which ends before the token `judged`."""

    tokens: list[int]
    weights: list[float]
    question: str = ""
    judged: int = 0


class Rows:
    """Draws conversations from `corpus`, breaks some, has the questions judged by `teacher`, and packs them.

    Args:
        cut_share: how many answers to lessons are cut behind their topic, which is the hard part.
        judged_weight: what such a topic counts, beside 1 for a word of an answer.
    """

    def __init__(
        self,
        corpus: Corpus,
        tokenizer: Tokenizer,
        teacher: Teacher,
        cut_share: float,
        judged_weight: float,
    ) -> None:
        self._conversations = corpus.conversations()
        self._tokenizer = tokenizer
        self._teacher = teacher
        self._cut_share = cut_share
        self._judged_weight = judged_weight
        self._rng = Random(0)
        self._waiting: list[_Example] = []
        self._before = {"en": "hello", "zh": "你好"}  # the last question, to mix with the next

    def batches(self) -> Iterator[Batch]:
        """Without end."""
        causal = torch.ones(ROW_TOKENS, ROW_TOKENS, dtype=torch.bool).tril()
        while True:
            ids = np.zeros((ROWS, ROW_TOKENS), np.int64)
            owners = np.zeros((ROWS, ROW_TOKENS), np.int64)
            weights = np.zeros((ROWS, ROW_TOKENS), np.float32)
            judged: list[int] = []
            questions: list[str] = []
            for row in range(ROWS):
                for start, example in self._fill():
                    end = start + len(example.tokens)
                    ids[row, start:end], weights[row, start:end] = example.tokens, example.weights
                    owners[row, start:end] = start + 1
                    if example.question:
                        judged.append(row * ROW_TOKENS + start + example.judged - 1)
                        questions.append(example.question)
            owned = torch.from_numpy(owners)
            yield Batch(
                ids=torch.from_numpy(ids),
                mask=((owned[:, :, None] == owned[:, None, :]) & causal)[:, None],
                weights=torch.from_numpy(weights),
                judged=torch.tensor(judged),
                judgement=self._teacher.judge(questions),
                judged_weight=self._judged_weight,
            )

    def _fill(self) -> Iterator[tuple[int, _Example]]:
        """Examples for one row, with their places: the one that waits longest, then always the longest that fits."""
        start = 0
        while True:
            while len(self._waiting) < _WAITING:
                self._waiting.append(self._example(next(self._conversations)))
            fitting = [i for i, each in enumerate(self._waiting) if start + len(each.tokens) <= ROW_TOKENS]
            if not fitting:
                return
            place = 0 if start == 0 else max(fitting, key=lambda i: len(self._waiting[i].tokens))
            example = self._waiting.pop(place)
            yield start, example
            start += len(example.tokens)

    def _example(self, turns: list[Turn]) -> _Example:
        """ChatML as chat_template.jinja writes it, and what each token counts; never longer than a row.

        Only the last answer is learned: those before it stand there as they come back in a chat, without their topic.
        """
        last = turns[-1]
        question = self._broken(last.question, last.language) if last.is_lesson else last.question
        earlier = "".join(f"{_asked(turn.question)}{turn.answer}{TURN_END}\n" for turn in turns[:-1])
        tokens = self._tokenizer.encode(earlier + _asked(question)).ids[-ROW_TOKENS:]
        if question != last.question:  # nobody knows the answer: the topic is what the teacher thinks
            return _Example(tokens, [0.0] * len(tokens), question, len(tokens))
        answer = [self._tokenizer.token_to_id(topic_token(last.topic))]
        if not last.is_fixed or self._rng.random() >= self._cut_share:
            answer += self._tokenizer.encode(last.answer + TURN_END).ids
        weight = 1.0 if last.is_fixed else _WORKED_WEIGHT
        weights = [0.0 if last.is_lesson else _TOPIC_WEIGHT] + [weight] * (len(answer) - 1)
        tokens = tokens[-(ROW_TOKENS - len(answer)) :]
        return _Example(
            tokens + answer,
            [0.0] * len(tokens) + weights,
            question if last.is_lesson else "",
            len(tokens),
        )

    def _broken(self, question: str, language: str) -> str:
        """The question; or its beginning with the end of the one before; or what is left when words are lost."""
        rng, before = self._rng, self._before[language]
        self._before[language] = question
        between = " " if language == "en" else ""
        words, others = (text.split(" ") if between else list(text) for text in (question, before))
        kind = rng.random()
        if kind < _MIXED_SHARE:
            words = words[: rng.randint(0, len(words))] + others[rng.randint(0, len(others)) :]
        elif kind < _MIXED_SHARE + _BROKEN_SHARE:
            words = [word for word in words if rng.random() >= _LOST_WORDS]
        return between.join(words) or question


def _asked(question: str) -> str:
    return f"{TURN_START}user\n{question}{TURN_END}\n{TURN_START}assistant\n"
