"""Quality of quantized models beside llama.cpp's, on the same weights and the same tokens.

    python tests/benchmarks/quantization_quality.py [CHECKPOINT ...] [--text FILE] [--tokens N] [--only WORD]

Without a checkpoint: stories260k of the shared test data on the beginning of a novel; the starter on conversations with
itself, the only text that it was made for, and on the built-in text, which is foreign to it. Other checkpoints: on the
built-in text. Measured are the recipes that come with Hearth, and some plain ones. The reference is the checkpoint in
float32. llama.cpp (`make bench-peer`) quantizes with its own quantizer and reads each
window as one batch; where its quantizer refuses, `make_gguf.py` does the same rounding and keeps odd rows as floats.

WEIGHTS are the bytes of all tensors, without the room between them, but Hearth's tables of cosines and sines, which llama.cpp computes as it runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers

from hearth.cli.output import size_text, write, write_table
from hearth.config import EngineSection
from hearth.engine.ort_runner import OrtRunner
from hearth.engine.tokenizer import Tokenizer
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.quality import Measured, Way
from hearth.paths import resource
from hearth.quantize.architectures.registry import describe
from hearth.quantize.builder import build
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.quality.agreement import Agreement
from hearth.quantize.quality.layered_reference import LayeredReference
from hearth.quantize.quality.windows import WINDOW, cut_windows
from hearth.quantize.recipe import Recipe
from hearth.quantize.recipe_file import load_recipe, recipe_names
from hearth.services.engine_options import engine_options, with_threads
from hearth.services.quality import REPORT_TOKENS, built_in_text, report_quality

ROOT = Path(__file__).parents[2]
PEER_PYTHON = ROOT / ".venv-peer" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
PEER_TYPES = ("Q4_0", "Q8_0", "Q4_K_M")
_K_BLOCK = 256
# Every fourth question, in each language, is enough for the tokens that are read.
_EACH_QUESTION, _LONGEST_TURN = 4, 256
# Beside the recipes that come with Hearth: what blocks, zero points, the head and activations do by themselves.
PLAIN = (
    Recipe(name="int4 block 32", bits=4),
    Recipe(name="int4 block 64", bits=4, block_size=64),
    Recipe(name="int4 block 128", bits=4, block_size=128),
    Recipe(name="int4 block 32, zero points", bits=4, symmetric=False),
    Recipe(name="int4 block 32, int8 head", bits=4, head_bits=8),
    Recipe(name="int8, float32 activations", bits=8, accuracy_level=1),
)


@dataclass(frozen=True)
class Row:
    """One quantized form of a model."""

    name: str
    weights: int
    file: int
    prefill: Measured
    single: Measured | None = None
    batch: Measured | None = None

    def cells(self) -> list[str]:
        divergence, same = self.prefill.kl_divergence, self.prefill.top1_agreement
        assert divergence is not None
        assert same is not None
        return [
            self.name,
            size_text(self.weights),
            size_text(self.file),
            f"{divergence.value:.3g} ± {divergence.error:.0e}",
            *("" if one is None else f"{one.kl_divergence.value:.3g}" for one in (self.single, self.batch)),
            f"{100 * same.value:.2f} ± {100 * same.error:.2f} %",
            f"{self.prefill.perplexity.value:.3f}",
        ]


def main() -> None:
    arguments = argparse.ArgumentParser(description="Quality of quantized models beside llama.cpp's.")
    arguments.add_argument("checkpoints", nargs="*", type=Path)
    arguments.add_argument("--text", type=Path, help="UTF-8; by default the built-in text")
    arguments.add_argument("--tokens", type=int, default=REPORT_TOKENS)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--only", default="", help="recipes and types whose name has this in it")
    options = arguments.parse_args()
    text = options.text.read_text("utf-8") if options.text else ""
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("HEARTH_HOME", str(Path(name) / "home"))
        given = [(path, text or built_in_text()) for path in options.checkpoints]
        for checkpoint, read in given or _usual():
            work = Path(tempfile.mkdtemp(dir=name))
            comparison = Comparison(checkpoint, work, text or read, options.tokens, options.threads)
            write(f"\n{checkpoint}: {comparison.positions} positions of “{read[:40]!r}…”\n")
            headers = [
                "",
                "WEIGHTS",
                "FILE",
                "KL, READING",
                "WRITING",
                "WRITING 4",
                "SAME TOKEN",
                "PERPLEXITY",
            ]
            write_table(headers, [row.cells() for row in comparison.rows(options.only)])


def _usual() -> Iterator[tuple[Path, str]]:
    """Checkpoints and what they are measured on."""
    data = Path(os.environ.get("HEARTH_TEST_DATA", ROOT.parent / "shared" / "data"))
    if data.is_dir():
        novel = (data / "eval" / "war-and-peace.txt").read_text("utf-8")
        yield data / "models" / "stories260k", novel[:40_000]
    yield resource("starter", "checkpoint"), _conversations()
    yield resource("starter", "checkpoint"), built_in_text()


def _conversations() -> str:
    """What the shipped starter answers to questions that it was not trained on, with all the marks of its template."""
    folder = ModelFolder.open(resource("starter", "model"))
    runner = OrtRunner(folder, "starter", threads=1, max_slots=1, kv_cache_bytes=1 << 28)
    runner.reserve(1, _LONGEST_TURN)
    tokenizer = Tokenizer(folder)
    raw = tokenizers.Tokenizer.from_file(str(folder.tokenizer_file))
    texts = []
    for language in ("en", "zh"):
        file = ROOT / "packaging" / "starter" / "evaluation" / f"{language}.jsonl"
        for line in file.read_text("utf-8").splitlines()[::_EACH_QUESTION]:
            question = json.loads(line)["question"]
            prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
            ids = tokenizer.encode(prompt)
            runner.truncate(0, 0)
            ids.append(int(runner.prefill(0, ids).argmax()))
            while ids[-1] not in folder.config.model.eos_token_ids and len(ids) < _LONGEST_TURN:
                ids.append(int(runner.decode(0, ids[-1:])[0].argmax()))
            texts.append(raw.decode(ids, skip_special_tokens=False))
    return "\n".join(texts)


class Comparison:
    """All forms of one model on one text."""

    def __init__(self, folder: Path, work: Path, text: str, tokens: int, threads: int) -> None:
        self._checkpoint = Checkpoint.open(folder)
        self._work = work
        self._text = text
        self._threads = threads
        # One build serves to read the tokenizer as the app does.
        plain = work / "plain"
        plain.mkdir()
        build(self._checkpoint, PLAIN[0], plain, threads, lambda _done, _whole: None)
        model = ModelFolder.open(plain)
        tokenizer = Tokenizer(model)
        length = min(WINDOW, model.config.model.context_length)
        self._windows = cut_windows(tokenizer.encode(text)[:tokens], tokenizer.bos_token_id, length)
        self.positions = sum(len(window) - 1 for window in self._windows)

    def rows(self, only: str) -> Iterator[Row]:
        for recipe in (*map(load_recipe, recipe_names()), *PLAIN):
            if only in recipe.name:
                yield self._ours(recipe)
        if not PEER_PYTHON.exists():
            write("llama.cpp is not here: make bench-peer")
            return
        yield from self._theirs(only)

    def _ours(self, recipe: Recipe) -> Row:
        out = self._work / "ours" / str(time.time_ns())
        out.mkdir(parents=True)
        started = time.perf_counter()
        recipe = build(self._checkpoint, recipe, out, self._threads, lambda _done, _whole: None).recipe
        options = with_threads(engine_options(EngineSection(), read_machine()), self._threads)
        report = report_quality(
            self._checkpoint,
            out,
            recipe,
            options,
            text=self._text,
            build_seconds=time.perf_counter() - started,
            advance=lambda _done, _whole: None,
        )
        ways = {one.way: one for one in report.evaluation.measured}
        return Row(
            recipe.name,
            _weight_bytes(out),
            report.bytes,
            ways[Way.PREFILL],
            ways.get(Way.SINGLE),
            ways.get(Way.BATCH),
        )

    def _theirs(self, only: str) -> Iterator[Row]:
        float32 = self._work / "f32.gguf"
        self._make_gguf(float32, "f32")
        windows = self._work / "windows.json"
        windows.write_text(json.dumps(self._windows), "utf-8")
        reference = self._reference()
        for name in ("F32", *self._peer_types()):
            file = float32 if name == "F32" else self._work / f"{name}.gguf"
            if only not in name:
                continue
            if file != float32:
                self._quantize(float32, file, name)
            out = self._work / "logits.npy"
            _peer("logits", str(file), str(windows), str(out))
            agreement = Agreement()
            targets = np.concatenate([window[1:] for window in self._windows])
            agreement.add(targets, np.load(out), reference)
            weights = int(_peer("bytes", str(file)))
            yield Row(f"llama.cpp {name}", weights, file.stat().st_size, agreement.measured(Way.PREFILL, 1))

    def _peer_types(self) -> tuple[str, ...]:
        """Without the K-quants where rows are too short for them: llama.cpp would put other types in their place."""
        rows = (tensor.row_shape[0] for tensor in self._checkpoint.tensors.values() if len(tensor.shape) > 1)
        fits = all(length % _K_BLOCK == 0 for length in rows)
        return tuple(name for name in PEER_TYPES if fits or "_K" not in name)

    def _quantize(self, source: Path, target: Path, name: str) -> None:
        """By llama.cpp itself, else by the converter."""
        try:
            _peer("quantize", str(source), str(target), name)
        except subprocess.CalledProcessError:
            self._make_gguf(target, name.lower())

    def _make_gguf(self, target: Path, name: str) -> None:
        script = Path(__file__).with_name("make_gguf.py")
        command = [PEER_PYTHON, script, self._checkpoint.folder, target, "--type", name]
        subprocess.run([str(part) for part in command], check=True)

    def _reference(self) -> np.ndarray:
        reference = LayeredReference(
            self._checkpoint, describe(self._checkpoint), self._windows, self._threads
        )
        reference.run_layers(lambda _done, _whole: None)
        return np.concatenate([piece for window in self._windows for piece in reference.read(window[:-1])])


def _peer(*arguments: str) -> str:
    script = Path(__file__).with_name("peer_quality.py")
    done = subprocess.run([str(PEER_PYTHON), str(script), *arguments], check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def _weight_bytes(folder: Path) -> int:
    """Of all tensors but the tables of cosines and sines; what two operators share counts once."""
    import onnx

    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    lengths = {}
    for tensor in model.graph.initializer:
        entries = {entry.key: int(entry.value) for entry in tensor.external_data if entry.key != "location"}
        if entries and not tensor.name.startswith(("cos_cache", "sin_cache")):
            lengths[entries["offset"]] = entries["length"]
    return sum(lengths.values())


if __name__ == "__main__":
    main()
