"""What a model folder holds beside graph and weights: `genai_config.json`, the tokenizer, the chat template."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from hearth.errors import ModelFileInvalid, TokenizerMissing
from hearth.i18n import tr
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.folder import (
    SIDE_FILES,
    TOKENIZER_FILE,
    TOKENIZER_MAX_BYTES,
    read_tokenizer_files,
)
from hearth.model_folder.genai_config import FILE_NAME, check_genai_config
from hearth.model_folder.json_file import read_json
from hearth.quantize.checkpoint.checkpoint import CONFIG, Checkpoint
from hearth.quantize.checkpoint.tokens import token_ids
from hearth.quantize.decoder import Decoder

_GENERATION = "generation_config.json"
_MAX_BYTES = 1 << 20
# What `generation_config.json` may recommend, and what onnxruntime-genai takes of it.
_SEARCH = ("do_sample", "temperature", "top_k", "top_p", "repetition_penalty")


def check_side_files(checkpoint: Checkpoint, decoder: Decoder) -> None:
    """See that what travels with the model is there and will be taken: told before hours of work.

    Raises:
        TokenizerMissing: the checkpoint has no `tokenizer.json`.
        ModelFileInvalid, ModelFileOutside: one of them fails a check.
    """
    confinement = Confinement(checkpoint.folder)
    if confinement.optional_file(TOKENIZER_FILE) is None:
        raise TokenizerMissing(folder=str(checkpoint.folder))
    read_tokenizer_files(confinement)
    token_ids(checkpoint, "")
    _copied_files(checkpoint)
    generation = confinement.optional_file(_GENERATION)
    check_genai_config(generation or checkpoint.folder / CONFIG, _genai_config_json(checkpoint, decoder))


def write_side_files(checkpoint: Checkpoint, decoder: Decoder, out: Path) -> None:
    """Copy what travels with the model, and write `genai_config.json`.

    Raises:
        ModelFileInvalid, ModelFileOutside: one of them fails a check.
    """
    for file in _copied_files(checkpoint):
        shutil.copyfile(file, out / file.name)
    (out / FILE_NAME).write_bytes(_genai_config_json(checkpoint, decoder))


def _copied_files(checkpoint: Checkpoint) -> list[Path]:
    confinement = Confinement(checkpoint.folder)
    found = (path for pattern in SIDE_FILES for path in sorted(checkpoint.folder.glob(pattern)))
    files = [confinement.file(path.name) for path in found if path.is_file() and path.name != CONFIG]
    for file in files:
        if file.stat().st_size > TOKENIZER_MAX_BYTES:
            reason = tr("it has more than {size} MB", size=TOKENIZER_MAX_BYTES >> 20)
            raise ModelFileInvalid(file=str(file), reason=reason)
    return files


def _genai_config_json(checkpoint: Checkpoint, decoder: Decoder) -> bytes:
    generation: dict[str, Any] = {}
    file = Confinement(checkpoint.folder).optional_file(_GENERATION)
    if file is not None:
        generation = read_json(file, dict[str, Any], _MAX_BYTES)
    config = genai_config(checkpoint, decoder, generation)
    return msgspec.json.format(msgspec.json.encode(config), indent=4) + b"\n"


def genai_config(checkpoint: Checkpoint, decoder: Decoder, generation: dict[str, Any]) -> dict[str, Any]:
    """The content of `genai_config.json`; its format: onnxruntime-genai's src/config.h."""
    tokens = {
        key: checkpoint.config.get(key) if generation.get(key) is None else generation[key]
        for key in ("bos_token_id", "eos_token_id", "pad_token_id")
    }
    ends = tokens["eos_token_id"]
    if tokens["pad_token_id"] is None:  # onnxruntime-genai asks for one
        tokens["pad_token_id"] = ends[0] if isinstance(ends, list) and ends else ends
    attention = decoder.layers[0].attention
    search = {"max_length": decoder.context_length, "past_present_share_buffer": True}
    search |= {key: generation[key] for key in _SEARCH if generation.get(key) is not None}
    return {
        "model": {
            **{key: value for key, value in tokens.items() if value is not None},
            "context_length": decoder.context_length,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": "model.onnx",
                "head_size": attention.head_dim,
                "hidden_size": decoder.hidden_size,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
                "num_attention_heads": attention.heads,
                "num_hidden_layers": len(decoder.layers),
                "num_key_value_heads": attention.kv_heads,
            },
            "type": decoder.kind,
            "vocab_size": decoder.vocab_size,
        },
        "search": search,
    }
