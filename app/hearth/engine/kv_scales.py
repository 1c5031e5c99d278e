"""Scales of int8 keys and values: measured at a model's first load with them, and kept.

The largest keys and values of each channel are looked up after the model has read some of Hearth's help with float keys
and values. The int8 ones must then prove themselves: on text that was not measured, the logits must be near those of
the float ones. What came of it is one small file per model, so the next load measures nothing.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec
import numpy as np
import onnxruntime as ort

from hearth.engine.ort_runner import OrtRunner
from hearth.engine.relative_error import relative_error
from hearth.engine.tokenizer import Tokenizer
from hearth.errors import ModelFileInvalid, ModelLoadFailed, ModelRunFailed, ModelUnsupported
from hearth.i18n import tr
from hearth.model_folder.cache_scales import HEADROOM, channel_scales
from hearth.model_folder.folder import ModelFolder
from hearth.model_folder.int8_cache import Scale
from hearth.model_folder.json_file import read_json
from hearth.paths import resource

log = logging.getLogger(__name__)

_FORMAT = 1
_FILE_MAX_BYTES = 64 << 20
# What is read: the languages of the help, since a language may be loud in channels of its own; and then some tokens
# more, on which the scales are tried.
_MEASURED_TOKENS = {"en": 256, "zh": 128}
_TRIED_TOKENS = 32
_HEADROOM = HEADROOM
# Scales that fit give one to three percent; activations rounded to int8, which is common, five to seven.
MOST_NOISE = 0.15
# For what is read here, whatever the settings leave to conversations.
_KV_CACHE_BYTES = 1 << 30


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file of one model.

    Attributes:
        model: a digest of the model.
        runtime: the version of onnxruntime that the scales were tried with.
        scales: by the name of the input that is the past, float32 [kv_heads, head_dim], little-endian.
        noise: relative RMS error of the logits, against float keys and values.
        refused: who refused scales: "graph" or "runtime".
    """

    format: int
    model: str
    runtime: str
    kv_heads: int = 0
    head_dim: int = 0
    scales: dict[str, bytes] = {}
    noise: float = 0.0
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Int8Cache:
    """Whether a model's keys and values can be int8.

    Attributes:
        scales: for `OrtRunner`; None where it gets none.
        noise: relative RMS error of the logits, against float keys and values; None where none was measured.
        refusal: why keys and values stay floats, as the end of a sentence; empty where they do not.
    """

    scales: Mapping[str, Scale] | None = None
    noise: float | None = None
    refusal: str = ""

    @property
    def digest(self) -> str:
        """Tells contexts apart that were rounded by different scales; empty without any."""
        if self.scales is None:
            return ""
        values = b"".join(scale.values for _, scale in sorted(self.scales.items()))
        return hashlib.sha256(values).hexdigest()[:16]


def int8_cache(
    folder: ModelFolder, name: str, tokenizer: Tokenizer, *, threads: int, place: Path, model: str
) -> Int8Cache:
    """The scales of a model: those kept in the folder `place`, else measured now, which loads it twice.

    Args:
        model: a digest of the model.

    Raises:
        ModelLoadFailed, ModelUnsupported, ModelRunFailed: it cannot be used with floats either.
    """
    file = place / f"{model}.json"
    kept = _read(file, model)
    if kept is None:
        # One sequence, with room for what is read.
        plain = OrtRunner(folder, name, threads=threads, max_slots=1, kv_cache_bytes=_KV_CACHE_BYTES)
        if not np.issubdtype(plain.cache.shape.dtype, np.floating):
            return Int8Cache()  # its maker has rounded them already
        ids, tried = _tokens(tokenizer, plain.context_length - 1)
        expected = _logits(plain, ids, tried)
        scales = _scales(plain, len(ids) - tried)
        del plain  # two models at once may be too much for the memory
        kept = _try(folder, name, threads, model, scales, (ids, tried), expected)
        _write(file, kept)
    if kept.refused:
        refusals = {
            "graph": tr("its graph has no place for int8 ones"),
            "runtime": tr("ONNX Runtime does not run it with int8 ones"),
        }
        return Int8Cache(refusal=refusals[kept.refused])
    if kept.noise > MOST_NOISE:
        refusal = tr("int8 ones would change its answers by {percent} %", percent=round(100 * kept.noise))
        return Int8Cache(noise=kept.noise, refusal=refusal)
    made = {past: Scale(kept.kv_heads, kept.head_dim, values) for past, values in kept.scales.items()}
    return Int8Cache(made, kept.noise)


def _tokens(tokenizer: Tokenizer, room: int) -> tuple[list[int], int]:
    """What is read, at most `room` tokens, and how many of the last are only tried."""
    pages = {
        language: tokenizer.encode_raw(
            "\n".join(file.read_text("utf-8") for file in sorted(resource("help", language).glob("*.md"))[:6])
        )
        for language in _MEASURED_TOKENS
    }
    measured = [token for language, most in _MEASURED_TOKENS.items() for token in pages[language][:most]]
    tried = min(_TRIED_TOKENS, room // 4)
    first = _MEASURED_TOKENS["en"]
    return [*measured[: room - tried], *pages["en"][first : first + tried]], tried


def _logits(runner: OrtRunner, ids: list[int], tried: int) -> np.ndarray:
    """Logits [tried, vocab] of the last tokens, read one by one."""
    runner.reserve(1, len(ids))
    runner.prefill(0, ids[:-tried])
    return np.stack([runner.decode(0, [token])[0] for token in ids[-tried:]])


def _scales(runner: OrtRunner, tokens: int) -> dict[str, Scale]:
    """The scales by the first tokens in slot 0."""
    scales = {}
    cache = runner.cache
    for names, pair in zip(runner.past_names, zip(cache.keys, cache.values, strict=True), strict=True):
        for past, buffer in zip(names, pair, strict=True):
            largest = np.abs(buffer.read(0, tokens).astype(np.float32)).max(axis=1)
            values = channel_scales(largest, _HEADROOM)
            scales[past] = Scale(values.shape[0], values.shape[1], values.astype("<f4").tobytes())
    return scales


def _try(
    folder: ModelFolder,
    name: str,
    threads: int,
    model: str,
    scales: dict[str, Scale],
    text: tuple[list[int], int],
    expected: np.ndarray,
) -> _Kept:
    """What becomes of the logits with these scales."""
    kept = _Kept(format=_FORMAT, model=model, runtime=ort.__version__)
    try:
        rounded = OrtRunner(
            folder, name, threads=threads, max_slots=1, kv_cache_bytes=_KV_CACHE_BYTES, kv_scales=scales
        )
        noise = relative_error(_logits(rounded, *text), expected)
    except ModelUnsupported:
        return msgspec.structs.replace(kept, refused="graph")
    except (ModelLoadFailed, ModelRunFailed) as error:
        log.warning("%s does not run with int8 keys and values: %s", name, error)
        return msgspec.structs.replace(kept, refused="runtime")
    if not math.isfinite(noise):
        return msgspec.structs.replace(kept, refused="runtime")
    shape = rounded.cache.shape
    return msgspec.structs.replace(
        kept,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        scales={past: scale.values for past, scale in scales.items()},
        noise=noise,
    )


def _read(file: Path, model: str) -> _Kept | None:
    """What is kept for the model, if it is whole and of this version of onnxruntime."""
    try:
        kept = read_json(file, _Kept, _FILE_MAX_BYTES)
    except ModelFileInvalid:
        return None  # it is measured anew and written over
    size = 4 * kept.kv_heads * kept.head_dim
    arrays = [np.frombuffer(values, "<f4") for values in kept.scales.values() if len(values) == size]
    is_sound = len(arrays) == len(kept.scales) and all(
        np.isfinite(values).all() and (values > 0).all() for values in arrays
    )
    is_ours = (kept.format, kept.model, kept.runtime) == (_FORMAT, model, ort.__version__)
    is_known = kept.refused in ("", "graph", "runtime") and bool(kept.scales) != bool(kept.refused)
    return kept if is_ours and is_known and is_sound else None


def _write(file: Path, kept: _Kept) -> None:
    """Keep it; where that fails, the next load measures again."""
    part = file.with_suffix(f".{uuid4().hex}.part")  # another process may keep the same
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(msgspec.json.encode(kept))
        part.replace(file)
    except OSError as error:
        log.warning("scales are not kept: %s", error)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
