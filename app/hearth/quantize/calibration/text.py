"""The text that calibration runs the model on, as tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from hearth.errors import CalibrationInvalid, ModelFileInvalid, because
from hearth.i18n import tr
from hearth.model_folder.confinement import Confinement
from hearth.paths import resource
from hearth.quantize.checkpoint.checkpoint import Checkpoint

BUILT_IN = "built-in"
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
    text = _built_in() if source == BUILT_IN else _read(Path(source))
    file = Confinement(checkpoint.folder).file("tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise ModelFileInvalid(file=str(file), reason=str(error)[:200]) from error
    ids = np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)
    start = checkpoint.config.get("bos_token_id")
    first = [start] if isinstance(start, int) and not isinstance(start, bool) else []
    length = min(SEQUENCE_LENGTH, context_length) - len(first)
    count = min(len(ids) // max(length, 1), max(1, tokens // SEQUENCE_LENGTH))
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
        if path.stat().st_size > _MAX_BYTES:
            raise CalibrationInvalid(source=str(path), reason=tr("it is too large"))
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CalibrationInvalid(source=str(path), reason=because(error)) from error
    except UnicodeDecodeError as error:
        raise CalibrationInvalid(source=str(path), reason=tr("it is not UTF-8 text")) from error
