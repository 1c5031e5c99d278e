"""From the trained checkpoint to the model folder that Hearth ships, by onnxruntime-genai's own builder.

    python packaging/starter/export.py CHECKPOINT MODEL_FOLDER GOLDEN.json

The golden file has onnxruntime-genai's greedy answers with that folder; a test holds Hearth's engine to them.

int8 weights in blocks of 32, int8 products. The head computes the last position only and shares the embedding's
float32 weights: the builder can share no int8 ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import onnxruntime_genai
from tokenizers import Tokenizer
from vocabulary import TURN_END, TURN_START

# What the folder is made of; the builder writes more for other kinds of models.
FILES = (
    "genai_config.json",
    "model.onnx",
    "model.onnx.data",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)
OPTIONS = (
    "block_size=32",
    "accuracy_level=4",
    "prune_lm_head=true",
    "shared_embeddings=true",
    "nodes_to_exclude=/lm_head/MatMul",
)

GOLDEN_QUESTIONS = (
    "What can you do?",
    "27 + 58",
    "你能做什么？",
    "Write a novel about the sea.",
    "My name is Mo.",
)
GOLDEN_TOKENS = 96


def build(checkpoint: Path, out: Path) -> None:
    """Run the builder.

    Raises:
        subprocess.CalledProcessError: it failed, and has said why.
    """
    command = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    command += ["-i", str(checkpoint), "-o", str(out), "-p", "int8", "-e", "cpu"]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([*command, "-c", cache, "--extra_options", *OPTIONS], check=True)


def golden(folder: Path) -> list[dict[str, list[int]]]:
    """Prompts with their greedy continuations, end-of-sequence token included, as onnxruntime-genai has them."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = onnxruntime_genai.Model(str(folder))
    rows = []
    for question in GOLDEN_QUESTIONS:
        prompt = tokenizer.encode(f"{TURN_START}user\n{question}{TURN_END}\n{TURN_START}assistant\n").ids
        params = onnxruntime_genai.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=len(prompt) + GOLDEN_TOKENS)
        generator = onnxruntime_genai.Generator(model, params)
        generator.append_tokens(prompt)
        answer: list[int] = []
        while not generator.is_done():
            generator.generate_next_token()
            answer.append(int(generator.get_next_tokens()[0]))
        rows.append({"prompt": prompt, "answer": answer})
    return rows


def main() -> int:
    arguments = argparse.ArgumentParser(description="Export the starter.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("golden", type=Path)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as made:
        build(options.checkpoint, Path(made))
        shutil.rmtree(options.out, ignore_errors=True)
        options.out.mkdir(parents=True)
        for name in FILES:
            if (Path(made) / name).is_file():
                shutil.copy(Path(made) / name, options.out / name)
    options.golden.write_text(json.dumps(golden(options.out)) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
