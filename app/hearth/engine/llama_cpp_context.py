"""How long a context llama.cpp is given: it takes the memory for all keys and values when it loads a model."""

from __future__ import annotations

from hearth.engine.host.protocol import EngineOptions

# Not as much as the settings would allow, since nothing of it is given back before the model is unloaded.
_MOST_TOKENS = 32_768
_BYTES_OF_FLOAT16 = 2.0
_BYTES_OF_INT8 = 34 / 32


def bytes_of_token(numbers: int, options: EngineOptions) -> int:
    """Of the keys and values of one token, which are so many numbers."""
    is_int8 = options.kv_cache_type == "int8"
    return max(1, int(numbers * (_BYTES_OF_INT8 if is_int8 else _BYTES_OF_FLOAT16)))


def context_for(trained: int, options: EngineOptions, bytes_per_token: int) -> int:
    """Tokens that there is room for, within the settings and what the model was trained for; 0 is not known."""
    fits = options.kv_cache_bytes // bytes_per_token
    wanted = options.max_context or _MOST_TOKENS
    return min(fits, wanted, trained or wanted)
