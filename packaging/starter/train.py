"""Trains the starter: lessons in, a Hugging Face checkpoint out.

    python packaging/starter/train.py LESSONS.json CHECKPOINT [--after CHECKPOINT] [--seed 1] [--threads 2]

There are two courses. The first begins from nothing; the second goes on `--after` it, with rates that fall anew, and
ends in the mean of both. The same lessons, seed and threads give the same model on the same machine.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from corpus import Corpus, Turn
from meaning import begin
from network import Network, Shape
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from vocabulary import TURN_END, TURN_START, make_tokenizer, save_tokenizer, topic_token

VOCABULARY = 5120
ROW_TOKENS = 256
ROWS = 8
# Conversations to choose from while a row is filled.
WAITING = 24
WARMUP_STEPS = 60


@dataclass(frozen=True)
class Course:
    """How long is trained, and on what.

    Attributes:
        steps: batches of `ROWS * ROW_TOKENS` tokens.
        mixture, below_zero: see `Corpus`.
        dropout: of embeddings and of what each layer adds.
        matrix_rate, other_rate: learning rates at the peak, of Muon (Jordan et al., 2024) for matrices and of AdamW for
            the rest. They are low, to keep what the weights begin with.
    """

    steps: int
    mixture: dict[str, int]
    below_zero: float
    dropout: float
    matrix_rate: float
    other_rate: float


FIRST = Course(
    steps=4200,
    mixture={"help": 43, "outside": 12, "sum": 34, "talk": 8, "problem": 3},
    below_zero=0.3,
    dropout=0.05,
    matrix_rate=0.004,
    other_rate=0.0006,
)
SECOND = Course(
    steps=1500,
    mixture={"help": 52, "outside": 10, "sum": 28, "talk": 6, "problem": 4},
    below_zero=0.6,
    dropout=0.05,
    matrix_rate=0.003,
    other_rate=0.0005,
)

# Most answers are cut behind their topic: to find it is the hard part, and the words are known by heart early on.
CUT_SHARE = 0.75
TOPIC_WEIGHT = 3.0
# For the answers that are never cut: sums, and what repeats something.
WORKED_WEIGHT = 2.0


class Rows:
    """Conversations as token ids, packed into rows; none sees its neighbours."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer) -> None:
        self._conversations = corpus.conversations()
        self._tokenizer = tokenizer
        self._rng = Random(0)
        self._waiting: list[tuple[list[int], list[float]]] = []

    def batches(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Ids [rows, tokens], masks [rows, 1, tokens, tokens] and weights of the losses [rows, tokens], without end."""
        causal = torch.ones(ROW_TOKENS, ROW_TOKENS, dtype=torch.bool).tril()
        while True:
            ids = np.zeros((ROWS, ROW_TOKENS), np.int64)
            owners = np.zeros((ROWS, ROW_TOKENS), np.int64)
            weights = np.zeros((ROWS, ROW_TOKENS), np.float32)
            for row in range(ROWS):
                self._fill(ids[row], owners[row], weights[row])
            owned = torch.from_numpy(owners)
            masks = (owned[:, :, None] == owned[:, None, :]) & causal
            yield torch.from_numpy(ids), masks[:, None], torch.from_numpy(weights)

    def _fill(self, ids: np.ndarray, owners: np.ndarray, weights: np.ndarray) -> None:
        """Put conversations into one row: the one that waits longest, then always the longest that still fits."""
        start = 0
        for owner in range(1, ROW_TOKENS):
            while len(self._waiting) < WAITING:
                self._waiting.append(self._encode(next(self._conversations)))
            fitting = [i for i, (tokens, _) in enumerate(self._waiting) if start + len(tokens) <= ROW_TOKENS]
            if not fitting:
                return
            place = 0 if start == 0 else max(fitting, key=lambda i: len(self._waiting[i][0]))
            tokens, losses = self._waiting.pop(place)
            end = start + len(tokens)
            ids[start:end], weights[start:end], owners[start:end] = tokens, losses, owner
            weights[start] = 0  # nothing of its own stands before it
            start = end

    def _encode(self, turns: list[Turn]) -> tuple[list[int], list[float]]:
        """ChatML as chat_template.jinja writes it, and what each token counts; never longer than a row.

        Only the last answer is learned: those before it stand there as they come back in a chat, without their topic.
        """
        last = turns[-1]
        text = "".join(f"{_asked(turn)}{turn.answer}{TURN_END}\n" for turn in turns[:-1]) + _asked(last)
        tokens = self._tokenizer.encode(text).ids
        answer = [self._tokenizer.token_to_id(topic_token(last.topic))]
        if not last.is_fixed or self._rng.random() >= CUT_SHARE:
            answer += self._tokenizer.encode(last.answer + TURN_END).ids
        weight = 1.0 if last.is_fixed else WORKED_WEIGHT
        losses = [0.0] * len(tokens) + [TOPIC_WEIGHT] + [weight] * (len(answer) - 1)
        return (tokens + answer)[-ROW_TOKENS:], losses[-ROW_TOKENS:]


def _asked(turn: Turn) -> str:
    return f"{TURN_START}user\n{turn.question}{TURN_END}\n{TURN_START}assistant\n"


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: a short rise, a plateau, and a fall to nothing over the last 60 %."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (0.6 * steps))


def train(network: Network, corpus: Corpus, tokenizer: Tokenizer, course: Course) -> None:
    """Train in place; tells how it goes."""
    steps = course.steps
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in network.named_parameters() if p.ndim != 2 or "embed" in name]
    peaks = (course.matrix_rate, course.other_rate)
    optimizers = [
        torch.optim.Muon(matrices, lr=peaks[0], weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=peaks[1], betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    print(
        f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} million parameters, {steps} steps",
        flush=True,
    )
    started, mean = time.monotonic(), math.nan
    batches = Rows(corpus, tokenizer).batches()
    for step in range(steps):
        ids, masks, weights = next(batches)
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(step, steps)
        with torch.autocast("cpu", torch.bfloat16):
            loss = network.loss(ids, masks, weights, course.dropout)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        value = loss.item()
        mean = value if math.isnan(mean) else 0.95 * mean + 0.05 * value
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - started
            left = spent / (step + 1) * (steps - step - 1)
            print(
                f"step {step + 1}: loss {mean:.4f}, {spent / 60:.1f} min, {left / 60:.1f} min left",
                flush=True,
            )


def average(network: Network, other: Network) -> None:
    """Set the weights to the mean of both (Izmailov et al., 2018): it does better on questions that neither has seen."""
    with torch.no_grad():
        for mine, others in zip(network.parameters(), other.parameters(), strict=True):
            mine.lerp_(others, 0.5)


def read_checkpoint(folder: Path) -> tuple[Network, Tokenizer]:
    """What a course has written."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    network = Network(Shape(vocab_size=VOCABULARY))
    network.read_checkpoint(load_file(folder / "model.safetensors"))
    return network, tokenizer


def write_checkpoint(folder: Path, network: Network, tokenizer: Tokenizer) -> None:
    """A Hugging Face checkpoint in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    template = (Path(__file__).parent / "chat_template.jinja").read_text("utf-8")
    save_tokenizer(tokenizer, folder, template, network.shape.max_position_embeddings)
    save_file(network.checkpoint(), folder / "model.safetensors", {"format": "pt"})
    end = tokenizer.token_to_id(TURN_END)
    generation = {"eos_token_id": end, "pad_token_id": 0, "do_sample": False}
    for name, values in (("config.json", network.shape.config(end)), ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(values, indent=1) + "\n", "utf-8")


def main() -> int:
    arguments = argparse.ArgumentParser(description="Train the starter.")
    arguments.add_argument("lessons", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--after", type=Path)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    course = SECOND if options.after else FIRST
    corpus = Corpus(options.lessons, options.seed, course.mixture, course.below_zero)
    if options.after:
        network, tokenizer = read_checkpoint(options.after)
    else:
        tokenizer = make_tokenizer(corpus.texts(), corpus.topics(), VOCABULARY)
        network = Network(Shape(vocab_size=VOCABULARY))
        begin(network, corpus.asked(), corpus.topics(), tokenizer)
    start = copy.deepcopy(network)
    train(network, corpus, tokenizer, course)
    if options.after:
        average(network, start)
    write_checkpoint(options.out, network, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
