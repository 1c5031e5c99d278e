"""The starter's tokenizer: byte-level BPE (Sennrich et al., 2016; bytes as in GPT-2), made from what it is taught.

Digits and Chinese characters stand alone, so that a number is read digit by digit and a question in Chinese is cut the
same way however it is put.

Each topic has a special token, as documents have in generative retrieval (Tay et al., 2022). It comes first in an
answer, and is not shown, as no special token is: so the whole decision of what to say falls on one token, which is
learned far sooner than the first words of sentences that begin alike.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def topic_token(topic: str) -> str:
    return f"<|topic {topic}|>"


def make_tokenizer(texts: list[str], topics: list[str], size: int) -> Tokenizer:
    """A tokenizer of at most `size` tokens; the same texts always give the same one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r"\p{Han}"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[END_OF_TEXT, TURN_START, TURN_END, *map(topic_token, topics)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, chat_template: str, context: int) -> None:
    """`tokenizer.json` and `tokenizer_config.json` of a Hugging Face checkpoint."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": chat_template,
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps(config, ensure_ascii=False, indent=1) + "\n", "utf-8"
    )
