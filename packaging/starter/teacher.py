"""A linear classifier that tells the topic of a question, and teaches the network what it finds (Hinton et al., 2015).

From the same questions a linear classifier over words and pieces of words learns to recognize new ones far better than
a network does, which soon knows by heart those it has seen. But it answers nothing else. So the network learns its
judgement, on questions as they are and on broken and mixed ones that nobody has labelled.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional

# A word, a Chinese character, or another sign.
_PIECE = re.compile(r"[a-z0-9_./-]+|[\u3400-\u9fff]|[^\sa-z0-9\u3400-\u9fff]")
# Grams seen less often are left out.
_LEAST_COUNT = 2
_EPOCHS = 4
_BATCH = 512
_RATE = 0.05
# So much of each label goes to all topics alike.
_SMOOTHING = 0.05


def grams(text: str) -> list[str]:
    """Words, pairs of words and pieces of three to five letters; of Chinese, one to three characters."""
    words = _PIECE.findall(text.lower())
    found = list(words)
    for word in words:
        if len(word) > 3 and word.isascii():
            bounded = f"<{word}>"
            found += [bounded[i : i + size] for size in (3, 4, 5) for i in range(len(bounded) - size + 1)]
    found += [f"{a} {b}" for a, b in pairwise(words)]
    found += [f"{a} {b} {c}" for a, b, c in zip(words, words[1:], words[2:], strict=False) if not a.isascii()]
    return found


class Teacher:
    """Softmax regression on grams, weighted by how rare they are (Spärck Jones, 1972).

    Args:
        asked: questions with their topics.
        topics: in the order of the columns of `judge`.
    """

    def __init__(self, asked: Iterable[tuple[str, str]], topics: list[str], seed: int) -> None:
        column = {topic: number for number, topic in enumerate(topics)}
        counts, labels = [], []
        for question, topic in asked:
            counts.append(Counter(grams(question)))
            labels.append(column[topic])
        holding = Counter(gram for count in counts for gram in count)
        kept = sorted(gram for gram, count in holding.items() if count >= _LEAST_COUNT)
        self._row = {gram: number for number, gram in enumerate(kept)}
        self._rarity = [1 + math.log((1 + len(counts)) / (1 + holding[gram])) for gram in kept]
        self._table = nn.EmbeddingBag(len(kept), len(topics), mode="sum", sparse=True)
        self._table.weight.data.zero_()
        self._fit(counts, torch.tensor(labels), Random(seed))
        self._table.requires_grad_(False)

    def judge(self, questions: list[str]) -> Tensor:
        """How likely each topic is, [questions, topics]."""
        return self._logits([Counter(grams(question)) for question in questions]).softmax(dim=1)

    def _fit(self, counts: list[Counter[str]], labels: Tensor, rng: Random) -> None:
        optimizer = torch.optim.SparseAdam(self._table.parameters(), lr=_RATE)
        order = list(range(len(counts)))
        for _ in range(_EPOCHS):
            rng.shuffle(order)
            for start in range(0, len(order), _BATCH):
                chosen = order[start : start + _BATCH]
                logits = self._logits([counts[i] for i in chosen])
                functional.cross_entropy(logits, labels[chosen], label_smoothing=_SMOOTHING).backward()
                optimizer.step()
                optimizer.zero_grad()

    def _logits(self, counts: list[Counter[str]]) -> Tensor:
        rows: list[int] = []
        weights: list[float] = []
        starts = []
        for count in counts:
            starts.append(len(rows))
            known = [(self._row[gram], number) for gram, number in count.items() if gram in self._row]
            weighed = [self._rarity[row] * (1 + math.log(number)) for row, number in known]
            length = math.hypot(*weighed) or 1.0
            rows += [row for row, _ in known]
            weights += [weight / length for weight in weighed]
        return self._table(
            torch.tensor(rows, dtype=torch.long),
            torch.tensor(starts),
            per_sample_weights=torch.tensor(weights, dtype=torch.float32),
        )
