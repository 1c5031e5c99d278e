"""From a Hugging Face checkpoint to a GGUF, for measuring llama.cpp on the same weights as Hearth.

    .venv-peer/bin/python tests/benchmarks/make_gguf.py CHECKPOINT OUT.gguf [--type q4_0|q8_0|bf16|f32] [--reference REF.gguf]

The reference holds what the quantized weights stand for, in float32: what llama.cpp makes of it differs from the other
by the rounding of activations alone. Runs in the environment that `make bench-peer` sets up. Architectures: llama,
mistral, qwen2, qwen3. A matrix whose rows are no multiple of a block stays float32.
"""

from __future__ import annotations

import argparse
import json
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

TYPES = {
    "q4_0": gguf.GGMLQuantizationType.Q4_0,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
    "bf16": gguf.GGMLQuantizationType.BF16,
    "f32": gguf.GGMLQuantizationType.F32,
}
FILE_TYPES = {
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "bf16": gguf.LlamaFileType.MOSTLY_BF16,
    "f32": gguf.LlamaFileType.ALL_F32,
}
# mistral is llama to llama.cpp.
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "mistral": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}


@dataclass
class Checkpoint:
    """A folder with config.json, tokenizer.json and safetensors files."""

    folder: Path

    def __post_init__(self) -> None:
        self.config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        rope = self.config.get("rope_scaling") or self.config.get("rope_parameters") or {}
        if rope.get("rope_type", "default") != "default":
            raise SystemExit("a checkpoint with scaled rotary positions is not converted")
        self.rope_theta = float(self.config.get("rope_theta") or rope.get("rope_theta", 10000.0))
        self.arch = ARCHITECTURES[self.config["model_type"]]

    def number(self, *names: str) -> Any:
        """The first of these settings that the checkpoint has."""
        return next(self.config[name] for name in names if self.config.get(name) is not None)

    @property
    def head_dim(self) -> int:
        dim = self.config.get("head_dim")
        return int(dim or self.number("hidden_size") // self.number("num_attention_heads"))

    def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Names and float32 values, one at a time. A safetensors file is the length of a JSON header, it, and data."""
        for file in sorted(self.folder.glob("*.safetensors")):
            with file.open("rb") as opened:
                data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
            size = int.from_bytes(data[:8], "little")
            header = json.loads(data[8 : 8 + size])
            header.pop("__metadata__", None)
            for name, entry in header.items():
                begin, end = (8 + size + offset for offset in entry["data_offsets"])
                yield name, _float32(data[begin:end], entry["dtype"]).reshape(entry["shape"])


def _float32(data: bytes, dtype: str) -> np.ndarray:
    if dtype == "BF16":
        return (np.frombuffer(data, np.uint16).astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, {"F32": np.float32, "F16": np.float16}[dtype]).astype(np.float32)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Convert a checkpoint to GGUF.")
    arguments.add_argument("checkpoint", type=Path)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("--type", choices=TYPES, default="q4_0", help="of the matrices")
    arguments.add_argument("--reference", type=Path, help="where to write the same weights in float32")
    options = arguments.parse_args()
    checkpoint = Checkpoint(options.checkpoint)
    write(checkpoint, options.out, options.type)
    if options.reference:
        write(checkpoint, options.reference, options.type, as_float32=True)


def write(checkpoint: Checkpoint, out: Path, type_name: str, *, as_float32: bool = False) -> None:
    """Write one GGUF; `as_float32` gives its matrices the values that the type makes of them, unpacked."""
    writer = gguf.GGUFWriter(out, gguf.MODEL_ARCH_NAMES[checkpoint.arch], use_temp_file=True)
    writer.add_file_type(FILE_TYPES["f32" if as_float32 else type_name])
    _add_shape(writer, checkpoint)
    _add_vocabulary(writer, checkpoint)
    names = gguf.get_tensor_name_map(checkpoint.arch, checkpoint.number("num_hidden_layers"))
    for name, values in checkpoint.tensors():
        if name == "lm_head.weight" and checkpoint.config.get("tie_word_embeddings"):
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise SystemExit(f"{name} has no place in a GGUF")
        _add_tensor(writer, target, _permuted(checkpoint, name, values), TYPES[type_name], as_float32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: gguf.GGUFWriter, checkpoint: Checkpoint) -> None:
    number = checkpoint.number
    writer.add_name(checkpoint.folder.name)
    writer.add_block_count(number("num_hidden_layers"))
    writer.add_context_length(number("max_position_embeddings"))
    writer.add_embedding_length(number("hidden_size"))
    writer.add_feed_forward_length(number("intermediate_size"))
    writer.add_head_count(number("num_attention_heads"))
    writer.add_head_count_kv(number("num_key_value_heads", "num_attention_heads"))
    writer.add_key_length(checkpoint.head_dim)
    writer.add_value_length(checkpoint.head_dim)
    writer.add_rope_dimension_count(checkpoint.head_dim)
    writer.add_layer_norm_rms_eps(number("rms_norm_eps"))
    writer.add_rope_freq_base(checkpoint.rope_theta)
    writer.add_vocab_size(number("vocab_size"))


def _add_vocabulary(writer: gguf.GGUFWriter, checkpoint: Checkpoint) -> None:
    """The words of tokenizer.json, so that loading costs llama.cpp what it costs with a real model.

    Ids are what is measured, so scores, kinds and splitting need not be exact.
    """
    file = json.loads((checkpoint.folder / "tokenizer.json").read_text("utf-8"))
    size = checkpoint.number("vocab_size")
    words = {token_id: word for word, token_id in file["model"]["vocab"].items() if token_id < size}
    added = {entry["id"]: entry["content"] for entry in file.get("added_tokens", []) if entry["id"] < size}
    tokens = [added.get(n, words.get(n, f"[unused{n}]")) for n in range(size)]
    kinds = [_kind(tokens[n], n in words, n in added) for n in range(size)]
    if "Ġ" in file["model"]["vocab"]:  # a blank, where bytes are written as letters, as GPT-2 does
        merges = [m if isinstance(m, str) else " ".join(m) for m in file["model"]["merges"]]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_merges(merges)
    else:
        writer.add_tokenizer_model("llama")
        writer.add_token_scores([-float(n) for n in range(size)])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    for name, add in (("bos_token_id", writer.add_bos_token_id), ("eos_token_id", writer.add_eos_token_id)):
        value = checkpoint.config.get(name)
        if isinstance(value, int) and value < size:
            add(value)


def _kind(token: str, is_word: bool, is_added: bool) -> gguf.TokenType:
    if is_added:
        return gguf.TokenType.CONTROL
    if re.fullmatch("<0x[0-9A-F]{2}>", token):
        return gguf.TokenType.BYTE
    return gguf.TokenType.NORMAL if is_word else gguf.TokenType.UNUSED


def _permuted(checkpoint: Checkpoint, name: str, values: np.ndarray) -> np.ndarray:
    """Queries and keys of llama as llama.cpp turns them: pairs beside each other, not half a head apart."""
    if checkpoint.arch is not gguf.MODEL_ARCH.LLAMA or not name.rpartition(".")[0].endswith(
        ("q_proj", "k_proj")
    ):
        return values
    heads = len(values) // checkpoint.head_dim
    halves = values.reshape(heads, 2, checkpoint.head_dim // 2, *values.shape[1:])
    return halves.swapaxes(1, 2).reshape(values.shape)


def _add_tensor(
    writer: gguf.GGUFWriter,
    name: str,
    values: np.ndarray,
    wanted: gguf.GGMLQuantizationType,
    as_float32: bool,
) -> None:
    block = gguf.GGML_QUANT_SIZES[wanted][0]
    if wanted is gguf.GGMLQuantizationType.F32 or values.ndim < 2 or values.shape[-1] % block:
        writer.add_tensor(name, np.ascontiguousarray(values))
        return
    packed = quantize(values, wanted)
    if as_float32:
        writer.add_tensor(name, dequantize(packed, wanted))
    else:
        writer.add_tensor(name, packed, raw_dtype=wanted)


if __name__ == "__main__":
    main()
