"""Writes small checkpoints with random weights, for tests of what is built from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models

_NAMES = {"float32": "F32", "float16": "F16", "float64": "F64", "int32": "I32", "int64": "I64", "uint8": "U8"}


def write_safetensors(file: Path, tensors: Mapping[str, np.ndarray]) -> None:
    header, offset = {}, 0
    for name, values in tensors.items():
        end = offset + values.nbytes
        header[name] = {
            "dtype": _NAMES[values.dtype.name],
            "shape": values.shape,
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for values in tensors.values():
            stream.write(np.ascontiguousarray(values).tobytes())


def write_config(folder: Path, **settings: Any) -> None:
    (folder / "config.json").write_text(json.dumps(settings))


def llama_tensors(
    hidden: int, width: int, layers: int, vocabulary: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The tensors of a Llama without heads that share keys; its embedding is its head."""
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return random.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)

    tensors = {"model.embed_tokens.weight": matrix(vocabulary, hidden)}
    for number in range(layers):
        prefix = f"model.layers.{number}."
        for part in "qkvo":
            tensors[f"{prefix}self_attn.{part}_proj.weight"] = matrix(hidden, hidden)
        tensors[f"{prefix}mlp.gate_proj.weight"] = matrix(width, hidden)
        tensors[f"{prefix}mlp.up_proj.weight"] = matrix(width, hidden)
        tensors[f"{prefix}mlp.down_proj.weight"] = matrix(hidden, width)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{prefix}{norm}.weight"] = np.ones(hidden, np.float32)
    tensors["model.norm.weight"] = np.ones(hidden, np.float32)
    return tensors


def write_llama(
    folder: Path,
    *,
    hidden: int = 64,
    width: int = 128,
    layers: int = 2,
    vocabulary: int = 128,
    **settings: Any,
) -> dict[str, np.ndarray]:
    """A whole checkpoint in `folder`, which is made; the tensors in it."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = llama_tensors(hidden, width, layers, vocabulary)
    write_config(
        folder,
        model_type="llama",
        hidden_size=hidden,
        num_attention_heads=hidden // 16,
        num_hidden_layers=layers,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        eos_token_id=0,
        **settings,
    )
    write_safetensors(folder / "model.safetensors", tensors)
    Tokenizer(models.BPE()).save(str(folder / "tokenizer.json"))
    return tensors
