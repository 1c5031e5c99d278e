"""A model in one file of ggml's formats: GGUF, or one of those before it; what it is, checked before native code opens it.

The header is trusted in nothing: see `gguf_reader`. Where each tensor lies is checked against the file's size here.
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path
from typing import Final

import msgspec

from hearth.errors import ModelFileInvalid, ModelFileMissing, ModelFileTruncated, ModelUnsupported, because
from hearth.i18n import mark, tr
from hearth.model_folder.ggml_types import BLOCKS, FILE_TYPES
from hearth.model_folder.gguf_reader import MAGIC, Header, HeaderInvalid, HeaderReader

LEGACY_MAGICS: Final = {b"lmgg": "GGML", b"fmgg": "GGMF", b"tjgg": "GGJT", b"algg": "GGLA"}
"""The first four bytes of the formats before GGUF; the numbers they are were written in little-endian order."""

# What llama.cpp can answer a text prompt with, by the names that its own files give.
_OTHER_KINDS: Final = {
    "clip",
    "whisper",
    "bert",
    "nomic-bert",
    "jina-bert-v2",
    "t5encoder",
    "wavtokenizer-dec",
}
_HEAD: Final = "output.weight"
_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.gguf)", re.IGNORECASE)
_MOST_PARTS = 1000


class GgufFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a GGUF file says of its model.

    Attributes:
        version: of GGUF; 1 to 3.
        parameters: how many weights there are.
        context_length: tokens that it was trained to read at once.
        layers, hidden_size, heads, kv_heads, head_size: 0 where it does not say.
        feed_forward_size: width of a layer's network; 0 where it does not say, or has another one in each layer.
        experts, experts_used, expert_size: networks in a layer, how many of them a token uses, and the width of each; 0
            in a model without.
        is_tied: the head is the embedding's matrix.
        quantization: the types of its weights, such as "Q4_K_M".
        bits_per_weight: on the average, scales included.
        weight_bytes: of all parts together.
        chat_template: jinja2 text; empty where there is none.
        tokenizer: its kind as the file calls it, such as "llama" (SentencePiece) or "gpt2" (byte-pair encoding).
        special_tokens: such as `bos_token` and `eos_token`, as the template may name them.
        adds_bos: the tokenizer puts the BOS token before every prompt.
        parts: every file of the model, in order; one for most.
    """

    path: Path
    version: int
    architecture: str
    name: str = ""
    licence: str = ""
    source: str = ""
    parameters: int
    context_length: int
    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward_size: int = 0
    experts: int = 0
    experts_used: int = 0
    expert_size: int = 0
    is_tied: bool = False
    vocab_size: int
    quantization: str
    bits_per_weight: float
    weight_bytes: int
    chat_template: str = ""
    tokenizer: str = ""
    special_tokens: dict[str, str] = {}
    adds_bos: bool = True
    parts: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(part.stat().st_size for part in self.parts)

    @property
    def kv_numbers_per_token(self) -> int:
        """How many numbers the keys and values of one token are."""
        return self.layers * (self.kv_heads or self.heads) * self.head_size * 2


def is_model_file(path: Path) -> bool:
    """Whether a file begins as those of GGUF or one of the formats before it do."""
    try:
        return path.is_file() and (_magic(path) == MAGIC or _magic(path) in LEGACY_MAGICS)
    except OSError:
        return False


def legacy_format(path: Path) -> str:
    """The name of the format before GGUF that the file has, such as "GGJT"; empty for any other file.

    Raises:
        ModelFileInvalid: it cannot be read.
    """
    try:
        return LEGACY_MAGICS.get(_magic(path), "")
    except OSError as error:
        raise ModelFileInvalid(file=str(path), reason=because(error)) from error


def read_gguf(path: Path) -> GgufFile:
    """Read and check the header of a GGUF file, and those of the model's other parts where it is split.

    Raises:
        ModelFileInvalid: it is not GGUF, or its header says what cannot be.
        ModelFileTruncated: a tensor ends behind the end of its file.
        ModelFileMissing: a part of it is not there.
        ModelUnsupported: it is sound, but no model that answers text.
    """
    header, special_tokens = _checked(path)
    architecture = header.text("general.architecture")
    if not architecture:
        raise ModelFileInvalid(file=str(path), reason=tr("it does not say which architecture it has"))
    if architecture in _OTHER_KINDS or header.text("general.type") in ("mmproj", "adapter"):
        raise ModelUnsupported(
            name=path.name, reason=tr("it is a “{name}” model, which writes no text", name=architecture)
        )
    parts = _parts(path, header)
    headers = [header, *(_checked(part)[0] for part in parts if part != path)]
    weights = sum(_count(tensor.shape) for each in headers for tensor in each.tensors)
    weight_bytes = sum(_bytes(tensor.shape, tensor.type) for each in headers for tensor in each.tensors)
    if not weights:
        raise ModelUnsupported(name=path.name, reason=tr("it has no weights, only a vocabulary"))
    key = f"{architecture}.".__add__
    hidden, heads = header.number(key("embedding_length")), header.number(key("attention.head_count"))
    return GgufFile(
        path=path,
        version=header.version,
        architecture=architecture,
        name=header.text("general.name"),
        licence=header.text("general.license"),
        source=header.text("general.source.url") or header.text("general.url"),
        parameters=weights,
        context_length=header.number(key("context_length")),
        layers=header.number(key("block_count")),
        hidden_size=hidden,
        heads=heads,
        kv_heads=header.number(key("attention.head_count_kv")) or heads,
        head_size=header.number(key("attention.key_length")) or (hidden // heads if heads else 0),
        feed_forward_size=header.number(key("feed_forward_length")),
        experts=header.number(key("expert_count")),
        experts_used=header.number(key("expert_used_count")),
        expert_size=header.number(key("expert_feed_forward_length")),
        is_tied=all(tensor.name != _HEAD for each in headers for tensor in each.tensors),
        vocab_size=header.number(key("vocab_size")) or header.lengths.get("tokenizer.ggml.tokens", 0),
        quantization=_quantization(header),
        bits_per_weight=weight_bytes * 8 / weights,
        weight_bytes=weight_bytes,
        chat_template=header.text("tokenizer.chat_template"),
        tokenizer=header.text("tokenizer.ggml.model"),
        special_tokens=special_tokens,
        adds_bos=_adds_bos(header),
        parts=parts,
    )


def _magic(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _checked(path: Path) -> tuple[Header, dict[str, str]]:
    """The header of one file, whose tensors all lie in it, and the special tokens that it names."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size < 8:
                raise ModelFileInvalid(file=str(path), reason=tr("it is cut off"))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                reader = HeaderReader(data)
                header = reader.read()
                special_tokens = {
                    f"{name}_token": reader.text_at(header, "tokenizer.ggml.tokens", _token(header, name))
                    for name in ("bos", "eos", "unk", "pad")
                    if _token(header, name) >= 0
                }
    except HeaderInvalid as error:
        raise ModelFileInvalid(file=str(path), reason=_in_words(str(error))) from error
    except OSError as error:
        raise ModelFileInvalid(file=str(path), reason=because(error)) from error
    needed = header.data_start
    for tensor in header.tensors:
        if tensor.type not in BLOCKS:
            raise ModelUnsupported(
                name=path.name, reason=tr("its weights have the unknown type {n}", n=tensor.type)
            )
        _, block, _ = BLOCKS[tensor.type]
        if any(not 0 < extent < 1 << 40 for extent in tensor.shape) or tensor.shape[0] % block:
            raise ModelFileInvalid(file=str(path), reason=tr("a tensor in it has an impossible shape"))
        needed = max(needed, header.data_start + tensor.offset + _bytes(tensor.shape, tensor.type))
    if needed > size:
        raise ModelFileTruncated(file=str(path), actual=size, expected=needed)
    return header, special_tokens


def _parts(path: Path, header: Header) -> tuple[Path, ...]:
    count = header.number("split.count")
    if count <= 1:
        return (path,)
    match = _PART.fullmatch(path.name)
    if match is None or int(match["count"]) != count or count > _MOST_PARTS:
        reason = tr("it is one of {n} parts, and its name does not say which", n=count)
        raise ModelFileInvalid(file=str(path), reason=reason)
    if int(match["part"]) != 1:
        raise ModelFileInvalid(
            file=str(path), reason=tr("it is a later part of a model; choose the first one")
        )
    parts = tuple(
        path.with_name(f"{match['stem']}-{part:05}-of-{count:05}{match['suffix']}")
        for part in range(1, count + 1)
    )
    for part in parts:
        if not part.is_file():
            raise ModelFileMissing(folder=str(path.parent), file=part.name)
    return parts


def _count(shape: tuple[int, ...]) -> int:
    product = 1
    for extent in shape:
        product *= extent
    return product


def _bytes(shape: tuple[int, ...], kind: int) -> int:
    _, weights, size = BLOCKS[kind]
    return _count(shape) // weights * size


def _quantization(header: Header) -> str:
    """By the file's own word, or by the type that most of its weights have."""
    if "general.file_type" in header.values:
        known = FILE_TYPES.get(header.number("general.file_type") & 0x3FF)
        if known is not None:
            return known
    by_type: dict[str, int] = {}
    for tensor in header.tensors:
        name, _, _ = BLOCKS[tensor.type]
        by_type[name] = by_type.get(name, 0) + _count(tensor.shape)
    return max(by_type, key=by_type.__getitem__, default="")


def _token(header: Header, name: str) -> int:
    """The id of a special token; -1 where there is none."""
    key = f"tokenizer.ggml.{'unknown' if name == 'unk' else 'padding' if name == 'pad' else name}_token_id"
    return header.number(key) if key in header.values else -1


def _adds_bos(header: Header) -> bool:
    """As llama.cpp has it where the file does not say: SentencePiece does, byte-pair encoding does not."""
    said = header.flag("tokenizer.ggml.add_bos_token")
    if said is not None:
        return said
    return header.text("tokenizer.ggml.model") in ("llama", "gemma", "")


_WORDS: Final = (
    mark("it is no GGUF file"),
    mark("it is for processors of the other byte order (big endian)"),
    mark("it is cut off"),
    mark("a text in it is longer than the file"),
    mark("a text in it is too long"),
)


def _in_words(reason: str) -> str:
    """The usual reasons in the reader's language; the rare ones as part of a sentence that is."""
    if reason in _WORDS:
        return tr(reason)
    return tr("its header says what cannot be ({detail})", detail=reason)
