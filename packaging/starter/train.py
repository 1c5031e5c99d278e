"""Trains the starter: lessons in, a Hugging Face checkpoint out.

    python packaging/starter/train.py LESSONS.json CHECKPOINT [--seed 1] [--threads 2]

There are four courses, each of which goes on where the last one ended, with rates that fall anew; the model is the mean
of the four ends (stochastic weight averaging, Izmailov et al., 2018). The first is mostly about sums and topics, the
second about the words of the answers, the third about topics alone, the last about all of it. The mean understands new
questions better than any of them.

The same lessons, seed and threads give the same model on the same machine.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from corpus import Corpus
from meaning import begin
from network import Network, Shape
from rows import Batch, Rows
from safetensors.torch import save_file
from teacher import Teacher
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from vocabulary import TURN_END, make_tokenizer, save_tokenizer, topic_token

VOCABULARY = 5120
WARMUP_STEPS = 60
# Of embeddings and of what each layer adds.
DROPOUT = 0.05


@dataclass(frozen=True)
class Course:
    """How long is trained, and on what.

    Attributes:
        steps: batches of `rows.ROWS * rows.ROW_TOKENS` tokens.
        mixture: what a turn is about, and how often.
        cut_share, judged_weight: see `Rows`.
        matrix_rate, other_rate: learning rates at the peak, of Muon (Jordan et al., 2024) for matrices and of AdamW for
            the rest.
    """

    steps: int
    mixture: dict[str, int]
    cut_share: float
    judged_weight: float
    matrix_rate: float
    other_rate: float


COURSES = (
    Course(
        steps=4200,
        mixture={"help": 40, "outside": 12, "sum": 36, "talk": 8, "problem": 4},
        cut_share=0.75,
        judged_weight=3.0,
        matrix_rate=0.004,
        other_rate=0.0006,
    ),
    Course(
        steps=1200,
        mixture={"help": 56, "outside": 12, "sum": 20, "talk": 8, "problem": 4},
        cut_share=0.3,
        judged_weight=10.0,
        matrix_rate=0.003,
        other_rate=0.0005,
    ),
    Course(
        steps=300,
        mixture={"help": 70, "outside": 15, "talk": 12, "problem": 3},
        cut_share=1.0,
        judged_weight=10.0,
        matrix_rate=0.003,
        other_rate=0.0005,
    ),
    Course(
        steps=600,
        mixture={"help": 56, "outside": 16, "sum": 16, "talk": 8, "problem": 4},
        cut_share=0.4,
        judged_weight=10.0,
        matrix_rate=0.003,
        other_rate=0.0005,
    ),
)


def rate(step: int, steps: int) -> float:
    """Share of the peak learning rate: a short rise, a plateau, and a fall to nothing over the last 60 %."""
    return min(1.0, (step + 1) / WARMUP_STEPS, (steps - step) / (0.6 * steps))


def loss_of(network: Network, batch: Batch, topic_ids: Tensor) -> Tensor:
    """Mean cross entropy of the tokens that follow, each weighted; of those judged, against the teacher's judgement."""
    hidden = network(batch.ids, batch.mask, DROPOUT)
    weights = batch.weights[:, 1:].reshape(-1)
    counted = weights.nonzero()[:, 0]  # the rest is not computed
    told = hidden[:, :-1].reshape(-1, hidden.shape[-1])[counted]
    targets = batch.ids[:, 1:].reshape(-1)[counted]
    losses = functional.cross_entropy(network.logits(told), targets, reduction="none")
    found = functional.log_softmax(network.logits(hidden.reshape(-1, hidden.shape[-1])[batch.judged]), dim=1)
    judged = -(batch.judgement * found[:, topic_ids]).sum() * batch.judged_weight
    whole = weights[counted].sum() + batch.judged_weight * len(batch.judged)
    return ((losses * weights[counted]).sum() + judged) / whole


def train(network: Network, rows: Rows, topic_ids: Tensor, course: Course) -> None:
    """Train in place; tells how it goes."""
    matrices = [p for name, p in network.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in network.named_parameters() if p.ndim != 2 or "embed" in name]
    peaks = (course.matrix_rate, course.other_rate)
    optimizers = [
        torch.optim.Muon(matrices, lr=peaks[0], weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=peaks[1], betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    print(
        f"{sum(p.numel() for p in network.parameters()) / 1e6:.2f} million parameters, {course.steps} steps",
        flush=True,
    )
    started, mean = time.monotonic(), math.nan
    for step, batch in zip(range(course.steps), rows.batches(), strict=False):
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * rate(step, course.steps)
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(network, batch, topic_ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        value = loss.item()
        mean = value if math.isnan(mean) else 0.95 * mean + 0.05 * value
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - started
            left = spent / (step + 1) * (course.steps - step - 1)
            print(
                f"step {step + 1}: loss {mean:.4f}, {spent / 60:.1f} min, {left / 60:.1f} min left",
                flush=True,
            )


def take(
    course: Course, lessons: Path, seed: int, before: tuple[Network, Tokenizer] | None
) -> tuple[Network, Tokenizer]:
    """One course: from nothing, or from where the one `before` ended."""
    torch.manual_seed(seed)
    corpus = Corpus(lessons, seed, course.mixture)
    topics = corpus.topics()
    tokenizer = before[1] if before else make_tokenizer(corpus.texts(), topics, VOCABULARY)
    teacher = Teacher(corpus.asked(), topics, seed)
    network = Network(Shape(vocab_size=VOCABULARY))
    if before:
        network.read_checkpoint(before[0].checkpoint())
    else:
        begin(network, corpus.asked(), topics, tokenizer)
    topic_ids = torch.tensor([tokenizer.token_to_id(topic_token(topic)) for topic in topics])
    rows = Rows(corpus, tokenizer, teacher, course.cut_share, course.judged_weight)
    train(network, rows, topic_ids, course)
    return network, tokenizer


def mean_of(ends: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of checkpoints, in float32."""
    return {name: sum(end[name].float() for end in ends) / len(ends) for name in ends[0]}


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
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    state, ends = None, []
    for course in COURSES:
        state = take(course, options.lessons, options.seed, state)
        ends.append(state[0].checkpoint())
    network, tokenizer = state
    network.read_checkpoint(mean_of(ends))
    write_checkpoint(options.out, network, tokenizer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
