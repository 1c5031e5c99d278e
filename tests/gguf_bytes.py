"""GGUF files made by tests, sound ones and others."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

KINDS = {"u32": (4, "<I"), "i32": (5, "<i"), "f32": (6, "<f"), "bool": (7, "<?"), "u64": (10, "<Q")}


def text(value: str, version: int = 3) -> bytes:
    data = value.encode()
    return struct.pack("<I" if version == 1 else "<Q", len(data)) + data


def number(value: float, kind: str = "u32") -> bytes:
    code, form = KINDS[kind]
    return struct.pack("<I", code) + struct.pack(form, value)


def texts(values: Sequence[str], version: int = 3) -> bytes:
    count = struct.pack("<I" if version == 1 else "<Q", len(values))
    return struct.pack("<II", 9, 8) + count + b"".join(text(value, version) for value in values)


def string(value: str, version: int = 3) -> bytes:
    return struct.pack("<I", 8) + text(value, version)


def llama_keys(version: int = 3, architecture: str = "llama") -> dict[str, bytes]:
    """What a small model says of itself."""
    return {
        "general.architecture": string(architecture, version),
        "general.name": string("Tiny", version),
        "general.license": string("mit", version),
        "general.file_type": number(1),
        f"{architecture}.context_length": number(128),
        f"{architecture}.embedding_length": number(64),
        f"{architecture}.block_count": number(2),
        f"{architecture}.attention.head_count": number(4),
        f"{architecture}.attention.head_count_kv": number(2),
        "tokenizer.ggml.model": string("llama", version),
        "tokenizer.ggml.tokens": texts(["<unk>", "<s>", "</s>"], version),
        "tokenizer.ggml.bos_token_id": number(1),
        "tokenizer.ggml.eos_token_id": number(2),
        "tokenizer.chat_template": string("{{ messages }}", version),
    }


def gguf(
    keys: Mapping[str, bytes],
    tensors: Sequence[tuple[str, tuple[int, ...], int, int]] = (("w", (64, 2), 1, 0),),
    *,
    version: int = 3,
    data: int = 256,
) -> bytes:
    """A file of these keys and tensors (name, shape, type, offset), with `data` bytes behind the header."""
    count = "<I" if version == 1 else "<Q"
    head = (
        b"GGUF"
        + struct.pack("<I", version)
        + struct.pack(count, len(tensors))
        + struct.pack(count, len(keys))
    )
    head += b"".join(text(key, version) + value for key, value in keys.items())
    for name, shape, kind, offset in tensors:
        head += text(name, version) + struct.pack("<I", len(shape))
        head += b"".join(struct.pack(count, extent) for extent in shape) + struct.pack("<IQ", kind, offset)
    return head + b"\0" * (-len(head) % 32) + b"\0" * data
