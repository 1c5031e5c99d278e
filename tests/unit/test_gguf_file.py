"""GGUF headers are read without being trusted; whatever is wrong with a file is one clear line."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gguf_bytes import gguf, llama_keys, number, string, texts
from hearth.errors import (
    HearthError,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileTruncated,
    ModelUnsupported,
)
from hearth.model_folder.gguf_file import legacy_format, read_gguf
from hearth.model_folder.gguf_reader import HeaderInvalid, HeaderReader


def write(folder: Path, data: bytes, name: str = "m.gguf") -> Path:
    file = folder / name
    file.write_bytes(data)
    return file


def test_a_header_of_endless_small_things_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither texts that fill the memory nor arrays that take minutes to step over."""
    monkeypatch.setattr("hearth.model_folder.gguf_reader._MOST_KEPT", 10_000)
    monkeypatch.setattr("hearth.model_folder.gguf_reader._MOST_ENTRIES", 100)
    long = gguf(llama_keys() | {f"k{n}": string("x" * 3000) for n in range(4)})
    with pytest.raises(HeaderInvalid, match="too long"):
        HeaderReader(long).read()
    for many in ({"a": texts([""] * 101)}, {"a": texts([""] * 60), "b": texts([""] * 60)}):
        with pytest.raises(HeaderInvalid):
            HeaderReader(gguf(llama_keys() | many)).read()
    HeaderReader(gguf(llama_keys() | {"a": texts([""] * 60)})).read()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_tells_what_its_model_is(tmp_path: Path, version: int) -> None:
    found = read_gguf(write(tmp_path, gguf(llama_keys(version), version=version)))
    assert (found.version, found.architecture, found.name, found.licence) == (version, "llama", "Tiny", "mit")
    assert (found.context_length, found.layers, found.hidden_size) == (128, 2, 64)
    assert (found.heads, found.kv_heads, found.head_size, found.vocab_size) == (4, 2, 16, 3)
    assert (found.parameters, found.weight_bytes, found.bits_per_weight) == (128, 256, 16.0)
    assert (found.quantization, found.tokenizer, found.chat_template) == ("F16", "llama", "{{ messages }}")
    assert found.special_tokens == {"bos_token": "<s>", "eos_token": "</s>"}
    assert found.adds_bos


def test_the_weights_say_their_type_where_the_file_does_not(tmp_path: Path) -> None:
    keys = llama_keys()
    del keys["general.file_type"]
    tensors = [("a", (256, 2), 12, 0), ("b", (32,), 0, 288)]
    found = read_gguf(write(tmp_path, gguf(keys, tensors, data=512)))
    assert found.quantization == "Q4_K"
    assert found.weight_bytes == 2 * 144 + 128


@pytest.mark.parametrize("cut", [0, 3, 4, 8, 23, 24, 60, 300])
def test_a_file_cut_in_its_header_is_refused(tmp_path: Path, cut: int) -> None:
    with pytest.raises(ModelFileInvalid):
        read_gguf(write(tmp_path, gguf(llama_keys())[:cut]))


def test_a_file_cut_in_its_weights_tells_how_long_it_should_be(tmp_path: Path) -> None:
    whole = gguf(llama_keys())
    with pytest.raises(ModelFileTruncated) as refused:
        read_gguf(write(tmp_path, whole[: len(whole) - 100]))
    assert refused.value.params["expected"] == len(whole)


def lies() -> dict[str, bytes]:
    keys = llama_keys()
    huge = 2**63
    return {
        "tensor count": b"GGUF" + struct.pack("<IQQ", 3, huge, 1) + b"x" * 64,
        "key count": b"GGUF" + struct.pack("<IQQ", 3, 1, huge) + b"x" * 64,
        "length of a key": b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, huge) + b"x" * 64,
        "length of a text": gguf({"k": struct.pack("<IQ", 8, huge)}),
        "length of an array": gguf({"k": struct.pack("<IIQ", 9, 4, huge)}),
        "length of an array of texts": gguf({"k": struct.pack("<IIQ", 9, 8, 2**40)}),
        "text in an array": gguf({"k": struct.pack("<IIQQ", 9, 8, 1, huge)}),
        "arrays in arrays": gguf({"k": struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 30}),
        "type of a value": gguf({"k": struct.pack("<II", 77, 1)}),
        "alignment": gguf({**keys, "general.alignment": number(0)}),
        "alignment of no power of two": gguf({**keys, "general.alignment": number(48)}),
        "dimensions": gguf(keys, [("w", (1,) * 9, 0, 0)]),
        "shape": gguf(keys, [("w", (2**62, 2**62), 0, 0)]),
        "empty shape": gguf(keys, [("w", (0,), 0, 0)]),
        "half a block": gguf(keys, [("w", (31,), 2, 0)]),
        "split": gguf({**keys, "split.count": number(3)}),
        "no architecture": gguf({}),
        "version": gguf(keys, version=9),
        "big endian": b"GGUF" + struct.pack(">I", 3) + b"x" * 64,
    }


@pytest.mark.parametrize("lie", lies())
def test_a_header_that_lies_is_refused(tmp_path: Path, lie: str) -> None:
    with pytest.raises(ModelFileInvalid) as refused:
        read_gguf(write(tmp_path, lies()[lie]))
    assert "\n" not in str(refused.value)


def test_a_place_behind_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileTruncated):
        read_gguf(write(tmp_path, gguf(llama_keys(), [("w", (64, 2), 1, 2**62)])))


def test_a_big_endian_file_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="big endian"):
        read_gguf(write(tmp_path, lies()["big endian"]))


def test_unknown_types_of_weights_are_no_damage(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="unknown type 99"):
        read_gguf(write(tmp_path, gguf(llama_keys(), [("w", (64, 2), 99, 0)])))


def test_a_model_that_writes_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="writes no text"):
        read_gguf(write(tmp_path, gguf(llama_keys(architecture="clip"))))


def test_a_split_model_is_one_model_and_all_its_parts_are_needed(tmp_path: Path) -> None:
    keys = {**llama_keys(), "split.count": number(2)}
    first = write(tmp_path, gguf(keys), "m-00001-of-00002.gguf")
    with pytest.raises(ModelFileMissing, match="m-00002-of-00002"):
        read_gguf(first)
    second = write(tmp_path, gguf({"split.count": number(2)}), "m-00002-of-00002.gguf")
    found = read_gguf(first)
    assert found.parts == (first, second)
    assert found.parameters == 256
    with pytest.raises(ModelFileInvalid, match="choose the first"):
        read_gguf(write(tmp_path, gguf(keys), "m-00002-of-00002.gguf"))


@pytest.mark.parametrize(
    ("magic", "name"), [(b"lmgg", "GGML"), (b"tjgg", "GGJT"), (b"algg", "GGLA"), (b"GGUF", ""), (b"", "")]
)
def test_older_formats_are_told_by_their_first_bytes(tmp_path: Path, magic: bytes, name: str) -> None:
    assert legacy_format(write(tmp_path, magic + b"rest" if magic else b"")) == name


def test_special_tokens_are_found_far_into_the_vocabulary(tmp_path: Path) -> None:
    keys = llama_keys()
    keys["tokenizer.ggml.tokens"] = texts([f"t{n}" for n in range(1000)])
    keys["tokenizer.ggml.eos_token_id"] = number(999)
    keys["tokenizer.ggml.unknown_token_id"] = number(5000)
    found = read_gguf(write(tmp_path, gguf(keys)))
    assert found.special_tokens == {"bos_token": "t1", "eos_token": "t999", "unk_token": ""}


@settings(max_examples=300)
@given(st.data())
def test_no_damage_of_a_header_goes_further_than_an_error(data: st.DataObject) -> None:
    whole = bytearray(gguf({**llama_keys(), "x": string("y" * 40)}))
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(4, len(whole) - 9))
        whole[place : place + 8] = data.draw(
            st.one_of(st.binary(min_size=8, max_size=8), st.sampled_from([b"\xff" * 8, b"\0" * 8]))
        )
    cut = data.draw(st.integers(0, len(whole)))
    for damaged in (bytes(whole), bytes(whole[:cut])):
        with suppress(HeaderInvalid):  # any other exception fails the test
            HeaderReader(damaged).read()


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = write(tmp_path_factory.mktemp("gguf"), b"GGUF\x03\0\0\0" + data)
    with pytest.raises(HearthError):
        read_gguf(file)
