"""Texts as the tokens of a checkpoint, by its `tokenizer.json`."""

from __future__ import annotations

from tokenizers import Tokenizer

from hearth.errors import ModelFileInvalid
from hearth.model_folder.confinement import Confinement
from hearth.model_folder.folder import TOKENIZER_FILE
from hearth.quantize.checkpoint.checkpoint import Checkpoint


def token_ids(checkpoint: Checkpoint, text: str) -> list[int]:
    """The text's tokens, none added.

    Raises:
        ModelFileMissing, ModelFileInvalid: the checkpoint has no tokenizer that works.
    """
    file = Confinement(checkpoint.folder).file(TOKENIZER_FILE)
    try:
        ids: list[int] = Tokenizer.from_file(str(file)).encode(text, add_special_tokens=False).ids
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library raises nothing narrower, and where it panics, no Exception
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelFileInvalid(file=str(file), reason=lines[0][:200]) from error
    return ids
