"""From logits to the next token.

Order of the steps: repetition penalty, presence and frequency penalties, logit bias, temperature, top-k, top-p, min-p,
then one draw. The filters come as in Hugging Face's transformers; vLLM has min-p before the other two. Each sequence has its own generator, so its answer does not depend
on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearth.engine.outputs import TokenLogprobs
from hearth.engine.sampling_params import SamplingParams

_BLOCK = 256
# Where so many draws are in vain, the tokens that are kept are so few that sorting them is quicker.
_MOST_DRAWS = 8
# Tokens at least this likely, by the likeliest one, are looked at first when a nucleus is cut; most hold it.
_LEAST_WEIGHTS = (1e-3, 1e-6)


class TokenChooser:
    """The sampler of one sequence: its parameters, its random generator and its token counts."""

    def __init__(self, params: SamplingParams, prompt: Sequence[int], vocab_size: int) -> None:
        self.params = params
        self._rng = np.random.default_rng(params.seed)
        in_range = {i: b for i, b in params.logit_bias.items() if 0 <= i < vocab_size}
        self._bias_ids = np.fromiter(in_range.keys(), np.int64, len(in_range))
        self._bias = np.fromiter(in_range.values(), np.float32, len(in_range))
        self._penalizes_answer = bool(params.presence_penalty or params.frequency_penalty)
        self._counts: dict[int, int] = {}
        self._seen = set(prompt) if params.repetition_penalty != 1.0 else set()
        self.is_plain_greedy = (
            params.temperature == 0
            and not in_range
            and not self._penalizes_answer
            and params.repetition_penalty == 1.0
            and params.logprobs is None
        )

    def choose(self, logits: np.ndarray) -> int:
        """The next token for logits [vocab], which are not changed."""
        params = self.params
        logits = self._penalize(logits)
        if params.temperature == 0:
            return int(logits.argmax())
        if not 0 < params.top_k < logits.size:
            token = _draw_from_all(logits, params, self._rng)
            if token is not None:
                return token
        token_ids, probabilities = candidates(logits, params)
        return int(token_ids[_draw(probabilities, self._rng.random())])

    def record(self, token_id: int) -> None:
        """Count a token of the answer, for the penalties."""
        if self._penalizes_answer:
            self._counts[token_id] = self._counts.get(token_id, 0) + 1
        if self.params.repetition_penalty != 1.0:
            self._seen.add(token_id)

    def logprobs(self, logits: np.ndarray, token_id: int) -> TokenLogprobs | None:
        """Log-probabilities by the model's own logits [vocab], before penalties and temperature."""
        wanted = self.params.logprobs
        if wanted is None:
            return None
        shifted = logits - logits.max()
        logprobs = shifted - np.log(np.exp(shifted).sum())
        top = np.argpartition(-logprobs, min(wanted, logprobs.size - 1))[:wanted]
        top = top[np.argsort(-logprobs[top], kind="stable")]
        return TokenLogprobs(token_id, float(logprobs[token_id]), [(int(i), float(logprobs[i])) for i in top])

    def _penalize(self, logits: np.ndarray) -> np.ndarray:
        params = self.params
        if not (self._seen or self._counts or self._bias_ids.size):
            return logits
        logits = logits.copy()
        if self._seen:
            ids = np.fromiter(self._seen, np.int64, len(self._seen))
            values = logits[ids]
            penalty = params.repetition_penalty
            logits[ids] = np.where(values > 0, values / penalty, values * penalty)
        if self._counts:
            ids = np.fromiter(self._counts.keys(), np.int64, len(self._counts))
            counts = np.fromiter(self._counts.values(), np.float32, len(self._counts))
            logits[ids] -= params.presence_penalty + params.frequency_penalty * counts
        logits[self._bias_ids] += self._bias
        return logits


def _draw_from_all(logits: np.ndarray, params: SamplingParams, rng: np.random.Generator) -> int | None:
    """Draw from all tokens until one is drawn that top-p and min-p keep; None where none is soon.

    That gives the same distribution as a draw from those alone, and needs no sorting: whether a token is kept shows by
    the sum of what is likelier. Of 150,000 tokens with like chances, sorting takes as long as the model does.
    """
    weights = logits - logits.max()
    weights /= np.float32(params.temperature)
    np.exp(weights, out=weights)
    # Summed in blocks, since a running sum over all would be the slowest part.
    starts = np.arange(0, weights.size, _BLOCK)
    sums = np.cumsum(np.add.reduceat(weights, starts), dtype=np.float64)
    total = float(sums[-1])
    for _ in range(_MOST_DRAWS):
        wanted = rng.random() * total
        block = min(int(np.searchsorted(sums, wanted, side="right")), sums.size - 1)
        start = int(starts[block])
        inside = np.cumsum(weights[start : start + _BLOCK], dtype=np.float64)
        place = int(np.searchsorted(inside, wanted - (sums[block - 1] if block else 0.0), side="right"))
        token = start + min(place, inside.size - 1)
        if _is_kept(weights, token, total, params):
            return token
    return None


def _is_kept(weights: np.ndarray, token: int, total: float, params: SamplingParams) -> bool:
    """Whether top-p and min-p keep a token, for `weights` [vocab] as in `_likely`."""
    weight = weights[token]
    if weight < params.min_p:
        return False
    if params.top_p >= 1.0:
        return bool(weight > 0)
    before = float(np.dot(weights, weights > weight))
    # Of tokens with one weight, those with lower ids come first.
    before += float(weight) * np.count_nonzero(weights[:token] == weight)
    return bool(before == 0 or before < params.top_p * total)  # the likeliest one is always kept


def candidates(logits: np.ndarray, params: SamplingParams) -> tuple[np.ndarray, np.ndarray]:
    """The tokens that may be drawn from finite logits [vocab], best first, and their probabilities (sum 1)."""
    vocab = logits.size
    # Logits below the best, in units of the temperature: their exponentials are unnormalized probabilities.
    distances = (logits - logits.max()) / np.float32(params.temperature)
    if 0 < params.top_k < vocab:
        token_ids = np.argpartition(distances, vocab - params.top_k)[vocab - params.top_k :]
        total = None
    else:
        weights = np.exp(distances)
        total = float(weights.sum(dtype=np.float64))
        token_ids = _likely(weights, total, params)
    token_ids = token_ids[np.argsort(-distances[token_ids], kind="stable")]
    exact = np.exp(distances[token_ids].astype(np.float64))
    probabilities = exact / (total or exact.sum())
    keep = probabilities.size
    if params.top_p < 1.0:
        # The token that crosses the threshold belongs to the nucleus; there is always at least one.
        keep = int(np.searchsorted(np.cumsum(probabilities), params.top_p)) + 1
    if params.min_p > 0.0:
        keep = min(keep, int(np.count_nonzero(probabilities >= params.min_p * probabilities[0])))
    token_ids, probabilities = token_ids[:keep], probabilities[:keep]
    return token_ids, probabilities / probabilities.sum()


def _likely(weights: np.ndarray, total: float, params: SamplingParams) -> np.ndarray:
    """Ids, in no order, among which all lie that top-p and min-p may keep, without sorting the vocabulary.

    `weights` [vocab] are unnormalized probabilities, 1 for the likeliest token; `total` is their sum.
    """
    if params.top_p < 1.0 or params.min_p > 0.0:
        for least in _LEAST_WEIGHTS:
            token_ids = np.flatnonzero(weights >= least)
            has_nucleus = (
                params.top_p < 1.0 and weights[token_ids].sum(dtype=np.float64) > params.top_p * total
            )
            if has_nucleus or params.min_p >= 2 * least:
                return token_ids
    return np.arange(weights.size)


def _draw(probabilities: np.ndarray, uniform: float) -> int:
    place = int(np.searchsorted(np.cumsum(probabilities), uniform, side="right"))
    return min(place, probabilities.size - 1)
