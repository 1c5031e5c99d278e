"""Greedy answers by onnxruntime-genai, in a process of its own: it brings its own use of ONNX Runtime.

    echo '[["MODEL_FOLDER", [1, 2, 3], 32], ...]' | python tests/genai_greedy.py

Writes the tokens that follow each prompt, as JSON.
"""

from __future__ import annotations

import json
import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime_genai

ONE_THREAD = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}


def greedy(folder: str, prompt: list[int], tokens: int) -> list[int]:
    """The most likely tokens after the prompt, up to the end of the answer."""
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": ONE_THREAD}}}))
    model = onnxruntime_genai.Model(config)
    parameters = onnxruntime_genai.GeneratorParams(model)
    parameters.set_search_options(max_length=len(prompt) + tokens, do_sample=False)
    generator = onnxruntime_genai.Generator(model, parameters)
    generator.append_tokens(prompt)
    while not generator.is_done():
        generator.generate_next_token()
    return [int(token) for token in generator.get_sequence(0)][len(prompt) :]


if __name__ == "__main__":
    print(json.dumps([greedy(*job) for job in json.load(sys.stdin)]))
