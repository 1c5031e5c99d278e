"""What a checkpoint says of how it is to be used travels with the model."""

from __future__ import annotations

import json
from pathlib import Path

from checkpoints import write_llama
from hearth.quantize.architectures.registry import describe
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.side_files import write_side_files


def test_tokenizer_template_ends_defaults_and_length_are_carried_over(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    write_llama(source)
    out.mkdir()
    length = json.loads((source / "config.json").read_text())["max_position_embeddings"]
    search = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.9, "repetition_penalty": 1.1}
    tokens = {"bos_token_id": 1, "eos_token_id": [2, 3]}
    (source / "generation_config.json").write_text(json.dumps({**search, **tokens, "typical_p": 0.5}))
    (source / "chat_template.jinja").write_text("{{ messages }}")
    (source / "tokenizer_config.json").write_text('{"bos_token": "<s>"}')
    checkpoint = Checkpoint.open(source)
    write_side_files(checkpoint, describe(checkpoint), out)
    made = json.loads((out / "genai_config.json").read_text())
    assert made["search"] == {"max_length": length, "past_present_share_buffer": True, **search}
    assert {key: made["model"][key] for key in tokens} == tokens
    assert made["model"]["pad_token_id"] == 2
    assert made["model"]["context_length"] == length
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert not (out / "config.json").exists()
