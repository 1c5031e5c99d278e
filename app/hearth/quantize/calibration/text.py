"""The text that calibration runs the model on, as tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hearth.errors import CalibrationInvalid, ModelFileInvalid
from hearth.i18n import tr
from hearth.model_folder.folder import TOKENIZER_FILE
from hearth.model_folder.json_file import read_capped
from hearth.paths import resource
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.tokens import token_ids
from hearth.quantize.recipe import BUILT_IN_TEXT

SEQUENCE_LENGTH = 256
_MAX_BYTES = 64 << 20


def calibration_tokens(source: str, checkpoint: Checkpoint, context_length: int, tokens: int) -> np.ndarray:
    """Sequences from all over the text, int64 [sequences, length], as the model would read them.

    Args:
        source: `built-in`, or the path of a text file.
        tokens: how many there shall be, about.

    Raises:
        CalibrationInvalid: the file cannot be read, or is too short.
        ModelFileMissing, ModelFileInvalid: the checkpoint has no tokenizer that works.
    """
    text = _built_in() if source == BUILT_IN_TEXT else _read(Path(source))
    ids = np.asarray(token_ids(checkpoint, text), np.int64)
    start = checkpoint.config.get("bos_token_id")
    first = [start] if isinstance(start, int) and not isinstance(start, bool) else []
    length = min(SEQUENCE_LENGTH, context_length) - len(first)
    count = min(len(ids) // max(length, 1), max(1, tokens // SEQUENCE_LENGTH))
    if count < 1 and source == BUILT_IN_TEXT:
        reason = tr("it makes fewer than {count} tokens of Hearth's own text", count=length)
        raise ModelFileInvalid(file=str(checkpoint.folder / TOKENIZER_FILE), reason=reason)
    if count < 1:
        raise CalibrationInvalid(source=source, reason=tr("it has fewer than {count} tokens", count=length))
    starts = np.linspace(0, len(ids) - length, count).astype(int)
    return np.stack([np.concatenate([np.array(first, np.int64), ids[at : at + length]]) for at in starts])


def _built_in() -> str:
    """Code, dialogue and other forms of text, and the help pages in all their languages."""
    pages = sorted(resource("help").glob("*/*.md"))
    return "\n\n".join(path.read_text("utf-8") for path in (resource("calibration.txt"), *pages))


def _read(path: Path) -> str:
    try:
        return read_capped(path, _MAX_BYTES).decode("utf-8-sig")
    except ModelFileInvalid as error:
        raise CalibrationInvalid(source=str(path), reason=error.params["reason"]) from error
    except UnicodeDecodeError as error:
        raise CalibrationInvalid(source=str(path), reason=tr("it is not UTF-8 text")) from error
