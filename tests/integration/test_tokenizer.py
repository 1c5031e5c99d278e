"""Tokenizers and streaming detokenization on real vocabularies."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from hearth.engine.stream_decoder import StreamDecoder
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import ModelFileInvalid
from hearth.model_folder.folder import ModelFolder


def tokenizer_of(folder: Path, bos_token_id: int | None = None) -> Tokenizer:
    """The tokenizer alone; these folders hold no model."""
    parts = SimpleNamespace(
        tokenizer_file=folder / "tokenizer.json",
        config=SimpleNamespace(model=SimpleNamespace(bos_token_id=bos_token_id)),
    )
    return Tokenizer(cast(ModelFolder, parts))


def vectors(folder: Path) -> list[tuple[str, list[int]]]:
    texts = (folder / "vectors.inp").read_text().split("\n__ggml_vocab_test__\n")
    ids = [[int(part) for part in line.split()] for line in (folder / "vectors.out").read_text().splitlines()]
    return list(zip(texts, ids, strict=False))


@pytest.mark.parametrize("name", ["qwen2", "phi3"])
def test_ids_are_those_of_the_reference(shared_data: Path, name: str) -> None:
    folder = shared_data / "tokenizers" / name
    tokenizer = tokenizer_of(folder)
    cases = vectors(folder)
    assert len(cases) > 30
    wrong = [text for text, ids in cases if tokenizer.encode(text) != ids]
    assert wrong == []


def test_a_prompt_is_taken_whole_however_training_text_was_cut_and_padded(
    shared_data: Path, tmp_path: Path
) -> None:
    file = shared_data / "models" / "stories260k" / "tokenizer.json"
    saved = json.loads(file.read_bytes())
    saved["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    saved["padding"] = {
        "strategy": {"Fixed": 40},
        "direction": "Left",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<unk>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(saved), encoding="utf-8")
    text = "Once upon a time there was a little girl."
    assert tokenizer_of(tmp_path).encode(text) == tokenizer_of(file.parent).encode(text)


@pytest.mark.parametrize("name", ["qwen2", "phi3"])
def test_streamed_text_is_the_text_decoded_at_once(shared_data: Path, name: str) -> None:
    folder = shared_data / "tokenizers" / name
    tokenizer = tokenizer_of(folder)
    for text, ids in vectors(folder):
        decoder = StreamDecoder(tokenizer)
        pieces = [decoder.push([token]) for token in ids]
        pieces.append(decoder.flush())
        assert "".join(pieces) == tokenizer.decode(ids), text
        assert not any("\ufffd" in piece for piece in pieces), text


@pytest.mark.parametrize("name", ["qwen2", "phi3"])
def test_a_continued_text_joins_to_the_whole(shared_data: Path, name: str) -> None:
    tokenizer = tokenizer_of(shared_data / "tokenizers" / name)
    whole = "Once upon a time, 从前有一个 🙂 girl\n\n  called “Zoë”. " * 3
    ids = tokenizer.encode(whole)
    for cut in range(1, len(ids)):
        prompt = tokenizer.decode(ids[:cut])
        if "\ufffd" in prompt:
            continue  # the cut is inside a character
        decoder = StreamDecoder(tokenizer, ids[:cut])
        pieces = [decoder.push([token]) for token in ids[cut:]]
        assert prompt + "".join(pieces) + decoder.flush() == tokenizer.decode(ids)


def test_a_raw_prompt_begins_with_one_bos(stories_float32: Path) -> None:
    tokenizer = Tokenizer(ModelFolder.open(stories_float32))
    assert tokenizer.encode_raw("") == [1]
    assert tokenizer.encode_raw("Once") == [1, *tokenizer.encode("Once")]
    assert tokenizer.encode_raw("<s>Once")[:2] != [1, 1]
    assert tokenizer.encode("Once")[0] != 1


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {}}')
    with pytest.raises(ModelFileInvalid):
        tokenizer_of(tmp_path)
