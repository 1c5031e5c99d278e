"""Tiny random checkpoints of each architecture, and the logits that transformers computes from them.

    python tests/goldens/make_architectures.py [NAME ...]

A development tool; the tests need only what it writes to tests/goldens/architectures: a folder for each model with
`config.json` and `model.safetensors` as transformers writes them and `golden.npz`, and one tokenizer for all. Needs, in
an environment of its own: torch 2.13.0, transformers 5.23.0, tokenizers.

Every number is a small integer times a power of two, so that it is the same in bfloat16, float16 and float32, and the
experts' are the same in 4 bits. Nothing is neutral: norms and biases are random too, windows end before the text does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

FOLDER = Path(__file__).with_name("architectures")
VOCABULARY = 128
POSITIONS = 64
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 256,
    "rms_norm_eps": 0.01,
    **SPECIAL,
}


def _rope(theta: float = 10000.0, **more: Any) -> dict[str, Any]:
    return {"rope_theta": theta, "rope_type": "default", **more}


_LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "original_max_position_embeddings": 64,
}

# By name: the configuration's class, what it says beyond `SHAPE`, and its type of numbers.
MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "llama2": (
        "Llama",
        {"num_key_value_heads": 2, "rope_parameters": _rope(rope_type="linear", factor=2.0)},
        "float16",
    ),
    "llama3": (
        "Llama",
        {
            "attention_bias": True,
            "mlp_bias": True,
            "rope_parameters": _rope(
                500.0,
                rope_type="llama3",
                factor=8.0,
                low_freq_factor=1.0,
                high_freq_factor=4.0,
                original_max_position_embeddings=64,
            ),
        },
        "bfloat16",
    ),
    "smollm2": ("Llama", {"tie_word_embeddings": True, "rope_parameters": _rope(100000.0)}, "bfloat16"),
    "mistral": (
        "Mistral",
        {"head_dim": 32, "sliding_window": 24, "rope_parameters": _rope(1000.0)},
        "bfloat16",
    ),
    "qwen2": (
        "Qwen2",
        {"use_sliding_window": True, "max_window_layers": 1, "sliding_window": 20},
        "bfloat16",
    ),
    "qwen2_5": (
        "Qwen2",
        {
            "tie_word_embeddings": True,
            "rope_parameters": _rope(
                1000.0, rope_type="yarn", factor=4.0, original_max_position_embeddings=64, beta_fast=8.0
            ),
        },
        "bfloat16",
    ),
    "qwen3": (
        "Qwen3",
        {
            "head_dim": 32,
            "attention_bias": True,
            "tie_word_embeddings": True,
            "rope_parameters": _rope(
                1000.0,
                rope_type="yarn",
                factor=4.0,
                original_max_position_embeddings=64,
                attention_factor=1.25,
                truncate=False,
            ),
        },
        "bfloat16",
    ),
    "qwen3_moe": (
        "Qwen3Moe",
        {
            "mlp_only_layers": [1],
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "norm_topk_prob": True,
            "head_dim": 16,
        },
        "bfloat16",
    ),
    "qwen3_moe_not_normalized": (
        "Qwen3Moe",
        {
            "num_hidden_layers": 2,
            "decoder_sparse_step": 2,
            "num_experts": 4,
            "num_experts_per_tok": 3,
            "moe_intermediate_size": 32,
            "norm_topk_prob": False,
            "head_dim": 16,
            "use_sliding_window": True,
            "sliding_window": 24,
        },
        "bfloat16",
    ),
    "phi3": ("Phi3", {"sliding_window": 24, "rope_parameters": _rope(1000.0)}, "bfloat16"),
    "phi3_beyond": (
        "Phi3",
        {
            "original_max_position_embeddings": 64,
            "rope_parameters": {
                **_LONG,
                "short_factor": [1.0, 1.0, 1.25, 1.5, 1.5, 1.75, 2.0, 2.0],
                "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0],
            },
        },
        "bfloat16",
    ),
    "phi4_mini": (
        "Phi3",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "original_max_position_embeddings": 64,
            "tie_word_embeddings": True,
            "rope_parameters": {
                **_LONG,
                "partial_rotary_factor": 0.5,
                "short_factor": [1.0, 1.0, 1.25, 1.5, 1.5, 1.75, 2.0, 2.0],
                "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0],
            },
        },
        "bfloat16",
    ),
    "gemma2": (
        "Gemma2",
        {
            "head_dim": 32,
            "query_pre_attn_scalar": 24,
            "sliding_window": 24,
            "attn_logit_softcapping": 3.0,
            "final_logit_softcapping": 6.0,
            "rope_parameters": _rope(1000.0),
        },
        "bfloat16",
    ),
    "gemma3": (
        "Gemma3Text",
        {
            "head_dim": 32,
            "query_pre_attn_scalar": 24,
            "sliding_window": 16,
            "attention_bias": True,
            "final_logit_softcapping": 8.0,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "rope_parameters": {
                "sliding_attention": _rope(100.0),
                "full_attention": _rope(10000.0, rope_type="linear", factor=4.0),
            },
        },
        "bfloat16",
    ),
    "gemma3_vision": (
        "Gemma3",
        {
            "head_dim": 16,
            "num_hidden_layers": 2,
            "query_pre_attn_scalar": 16,
            "sliding_window": 16,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        "bfloat16",
    ),
    "smollm3": (
        "SmolLM3",
        {
            "no_rope_layers": [1, 0, 1],
            "use_sliding_window": True,
            "sliding_window": 24,
            "attention_bias": True,
            "mlp_bias": True,
        },
        "bfloat16",
    ),
    "granite": (
        "Granite",
        {
            "embedding_multiplier": 3.0,
            "logits_scaling": 2.0,
            "residual_multiplier": 0.375,
            "attention_multiplier": 0.125,
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": True,
        },
        "bfloat16",
    ),
    "olmo2": ("Olmo2", {"attention_bias": True, "rope_parameters": _rope(1000.0)}, "bfloat16"),
}

# How many tokens, where it is not `POSITIONS`: more than the original length of 64.
TOKENS = {"phi3_beyond": 96}


def config(name: str) -> transformers.PreTrainedConfig:
    kind, more, _ = MODELS[name]
    if kind == "Gemma3":
        return transformers.Gemma3Config(
            text_config={**SHAPE, **more},
            vision_config={
                "hidden_size": 8,
                "intermediate_size": 8,
                "num_hidden_layers": 1,
                "num_attention_heads": 1,
                "image_size": 4,
                "patch_size": 2,
            },
            mm_tokens_per_image=4,
            boi_token_index=125,
            eoi_token_index=126,
            image_token_index=127,
        )
    made: transformers.PreTrainedConfig = getattr(transformers, f"{kind}Config")(**{**SHAPE, **more})
    return made


def fill(
    name: str, values: torch.Tensor, random: np.random.Generator, is_distance: bool, is_tied: bool
) -> None:
    """Numbers of the size that this parameter should have."""
    shape = tuple(values.shape)
    if "norm" in name:
        base = 0 if is_distance else 8
        if is_tied and name.endswith("model.norm.weight"):
            base += 24  # the embedding is small, lest each token foretell itself
        made = (base + random.integers(-4, 5, shape)) / 8
    elif "experts" in name:
        # Each run of 16 holds the lowest and the highest: rounding to 4 bits in such blocks then changes nothing.
        codes = random.integers(-8, 8, shape)
        codes[..., ::16], codes[..., 1::16] = -8, 7
        made = codes / 32
    elif len(shape) == 1:
        made = random.integers(-7, 8, shape) / 16
    else:
        step = 1 / 8 if "lm_head" in name else 1 / 32 if "embed" in name and is_tied else 1 / 16
        made = random.integers(-7, 8, shape) * step
        if "lm_head" in name or "embed_tokens" in name:
            made[SPECIAL["eos_token_id"]] = 0  # so that no greedy answer ends
    values.copy_(torch.from_numpy(np.asarray(made, np.float32)))


def make(name: str) -> None:
    """Write one model's folder."""
    kind, _, dtype = MODELS[name]
    folder = FOLDER / name
    classes = {"Gemma3": "Gemma3ForConditionalGeneration", "Gemma3Text": "Gemma3ForCausalLM"}
    cls = getattr(transformers, classes.get(kind, f"{kind}ForCausalLM"))
    model = cls(config(name)).to(getattr(torch, dtype))
    random = np.random.default_rng(list(name.encode()))
    is_tied = bool(model.config.tie_word_embeddings)
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            fill(parameter, values, random, "Gemma" in kind, is_tied)
    model.save_pretrained(folder)
    reference = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    ids = random.integers(3, VOCABULARY - 4, TOKENS.get(name, POSITIONS))
    with torch.no_grad():
        logits = reference(input_ids=torch.from_numpy(ids[None])).logits[0].numpy()
    np.savez_compressed(folder / "golden.npz", ids=ids.astype(np.int64), logits=logits.astype(np.float32))
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{name}: {size:,} bytes, logits {logits.std():.2f} rms, at most {np.abs(logits).max():.2f}")


def make_tokenizer() -> None:
    """A word for each token."""
    words = {"<pad>": 0, "<s>": 1, "</s>": 2} | {f"w{number}": number for number in range(3, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(FOLDER / "tokenizer.json"), pretty=False)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    make_tokenizer()
    for chosen in sys.argv[1:] or MODELS:
        make(chosen)
