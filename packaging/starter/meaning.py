"""Where the weights begin: latent semantic analysis (Deerwester et al., 1990) of which words ask for which topic.

A network from nothing would first have to find out which words mean alike, and that takes most of its time. Here the
words that ask for one topic begin near each other, in whatever language, and near the token of that topic; and the
first layer begins as the mean of all words so far. So the topic nearest to the mean of a question's words is what the
network says before its first step, and training improves on that.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from network import Network
from tokenizers import Tokenizer
from vocabulary import TURN_END, TURN_START, topic_token

# Tokens seen less often than this say less than their counts do.
TRUSTED_COUNT = 3
# Length of an embedding; the noise that sets words with like counts apart has about half of it.
LENGTH = 1.0


def begin(
    network: Network, asked: Iterable[tuple[str, str]], topics: list[str], tokenizer: Tokenizer
) -> None:
    """Set the embeddings and the first layer's attention."""
    table = network.embed_tokens.weight
    # A random rotation: no dimension of the network is special.
    turned = torch.linalg.qr(torch.randn(table.shape[1], table.shape[1]))[0]
    table.data = _embeddings(asked, topics, tokenizer, turned, table.shape)
    frame = tokenizer.encode(f"{TURN_START}user\n{TURN_END}\n{TURN_START}assistant\n").ids
    table.data[frame] *= 0.01  # they stand in every question and tell nothing
    attention = network.layers[0].self_attn
    for even in (attention.q_proj, attention.k_proj):  # no token is looked at more than another
        torch.nn.init.normal_(even.weight, std=0.002)
    passed = turned[: attention.v_proj.out_features]  # the dimensions that explain most
    attention.v_proj.weight.data = passed.clone()
    shape = network.shape
    group = shape.num_attention_heads // shape.num_key_value_heads
    heads = passed.view(shape.num_key_value_heads, shape.head_dim, -1).repeat_interleave(group, dim=0) / group
    attention.o_proj.weight.data = heads.reshape(attention.o_proj.in_features, -1).T.contiguous()


def _embeddings(
    asked: Iterable[tuple[str, str]],
    topics: list[str],
    tokenizer: Tokenizer,
    turned: torch.Tensor,
    shape: torch.Size,
) -> torch.Tensor:
    """Embeddings [tokens, width] from questions and their topics; what occurs in no question is noise alone."""
    tokens, width = shape
    place = {topic: number for number, topic in enumerate(topics)}
    counts = np.zeros((tokens, len(topics)))
    for question, topic in asked:
        ids = {*tokenizer.encode(question).ids, *tokenizer.encode(question.lower()).ids}
        counts[list(ids), place[topic]] += 1

    left, values, right = np.linalg.svd(_mutual_information(counts), full_matrices=False)
    rank = min(width, len(values))
    words, goals = (_of_length(side[:, :rank] * values[:rank] ** 0.5) for side in (left, right.T))

    result = torch.randn(tokens, width) * (LENGTH / 2 / width**0.5)
    turned = turned[:rank]
    seen = torch.from_numpy(counts.sum(axis=1) > 0)
    digits = [tokenizer.token_to_id(digit) for digit in "0123456789"]
    seen[digits] = False  # the company that a digit keeps would only make it like the others
    result[digits] *= 2
    result[seen] += (torch.from_numpy(words).float() @ turned)[seen]
    result[[tokenizer.token_to_id(topic_token(topic)) for topic in topics]] = (
        torch.from_numpy(goals).float() @ turned
    )
    return result


def _mutual_information(counts: np.ndarray) -> np.ndarray:
    """Positive pointwise mutual information, with rare topics smoothed (Levy et al., 2015)."""
    of_token = counts.sum(axis=1, keepdims=True)
    of_topic = (counts.sum(axis=0, keepdims=True) + 1e-9) ** 0.75
    of_topic *= counts.sum() / of_topic.sum()
    information = np.log((counts + 1e-12) * counts.sum() / ((of_token + 1e-9) * of_topic))
    return np.maximum(information, 0) * np.minimum(1, of_token / TRUSTED_COUNT)


def _of_length(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.median(lengths[lengths > 0])) * LENGTH
