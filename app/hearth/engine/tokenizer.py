"""Text to token ids and back, by the `tokenizers` library and the folder's `tokenizer.json`."""

from __future__ import annotations

from collections.abc import Sequence

import tokenizers

from hearth.errors import ModelFileInvalid
from hearth.model_folder.folder import ModelFolder


class Tokenizer:
    """The tokenizer of one model.

    Attributes:
        bos_token_id: the token that begins a raw prompt; None where the model has none.
    """

    def __init__(self, folder: ModelFolder) -> None:
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(str(folder.tokenizer_file))
        except Exception as error:  # the library raises plain Exception
            raise ModelFileInvalid(file=folder.tokenizer_file.name, reason=str(error)[:200]) from error
        # Some files keep how their makers cut and padded training text; a prompt is taken whole, and as it is.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.bos_token_id = folder.config.model.bos_token_id

    def vocabulary(self) -> dict[str, int]:
        """The id of every token, added ones included."""
        tokens: dict[str, int] = self._tokenizer.get_vocab(with_added_tokens=True)
        return tokens

    def encode(self, text: str) -> list[int]:
        """The ids of a rendered chat template: special tokens in the text count, none is added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_raw(self, text: str) -> list[int]:
        """The ids of a raw prompt: the BOS token comes first unless it is there already."""
        ids = self.encode(text)
        if self.bos_token_id is not None and ids[:1] != [self.bos_token_id]:
            ids.insert(0, self.bos_token_id)
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of these ids without special tokens; bytes that are no character yet become U+FFFD."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text
