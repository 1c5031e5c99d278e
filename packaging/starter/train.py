"""Trains the starter: lessons in, a Hugging Face checkpoint out.

    python packaging/starter/train.py LESSONS.json CHECKPOINT [--steps 4200] [--seed 1] [--threads 2]

The same lessons, seed and threads give the same model on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import torch
from corpus import Corpus, Turn
from meaning import begin
from network import Network, Shape
from safetensors.torch import save_file
from tokenizers import Tokenizer
from vocabulary import TURN_END, TURN_START, make_tokenizer, save_tokenizer, topic_token

VOCABULARY = 5120
STEPS = 4200
ROW_TOKENS = 256
ROWS = 8
# Conversations to choose from while a row is filled.
WAITING = 24
DROPOUT = 0.05
# Learning rates at the peak, for matrices (Muon, Jordan et al., 2024) and for the rest (AdamW).
MATRIX_RATE, OTHER_RATE = 0.004, 0.0006
WARMUP_STEPS = 60
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


def train(corpus: Corpus, tokenizer: Tokenizer, shape: Shape, steps: int) -> Network:
    """Train for `steps` batches of `ROWS * ROW_TOKENS` tokens; tells how it goes."""
    network = Network(shape)
    begin(network, corpus.asked(), corpus.topics(), tokenizer)
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in network.named_parameters() if p.ndim != 2 or "embed" in name]
    optimizers = [
        torch.optim.Muon(matrices, lr=MATRIX_RATE, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=OTHER_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    peaks = (MATRIX_RATE, OTHER_RATE)
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
            loss = network.loss(ids, masks, weights, DROPOUT)
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
    return network.eval()


def main() -> int:
    arguments = argparse.ArgumentParser(description="Train the starter.")
    arguments.add_argument("lessons", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--steps", type=int, default=STEPS)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    corpus = Corpus(options.lessons, options.seed)
    tokenizer = make_tokenizer(corpus.texts(), corpus.topics(), VOCABULARY)
    shape = Shape(vocab_size=VOCABULARY)
    network = train(corpus, tokenizer, shape, options.steps)

    options.out.mkdir(parents=True, exist_ok=True)
    template = (Path(__file__).parent / "chat_template.jinja").read_text("utf-8")
    save_tokenizer(tokenizer, options.out, template, shape.max_position_embeddings)
    save_file(network.checkpoint(), options.out / "model.safetensors", {"format": "pt"})
    end = tokenizer.token_to_id(TURN_END)
    (options.out / "config.json").write_text(json.dumps(shape.config(end), indent=1) + "\n", "utf-8")
    generation = {"eos_token_id": end, "pad_token_id": 0, "do_sample": False}
    (options.out / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
