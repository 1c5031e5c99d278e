"""llama.cpp's part of `quantization_quality.py`; runs in the environment that `make bench-peer` sets up.

peer_quality.py quantize F32.gguf OUT.gguf TYPE   by llama.cpp's own quantizer
peer_quality.py logits MODEL.gguf WINDOWS.json OUT.npy      float32 [positions, vocab], window after window
peer_quality.py bytes MODEL.gguf                            of its tensors
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np

TYPES = {
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}
ERROR_LEVEL = 4  # GGML_LOG_LEVEL_ERROR


@llama_cpp.llama_log_callback
def on_log(level: int, text: bytes, _: Any) -> None:
    if level == ERROR_LEVEL:
        sys.stderr.write(text.decode(errors="replace"))


def quantize(source: str, target: str, name: str) -> None:
    """Raises SystemExit where llama.cpp does not take such rows."""
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = TYPES[name]
    params.nthread = 2
    if llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)):
        raise SystemExit(f"llama.cpp makes no {name} of it")


def logits(model_file: str, windows_file: str, out: str) -> None:
    """The logits after every token of each window but its last; a window is one batch."""
    windows: list[list[int]] = json.loads(Path(windows_file).read_text("utf-8"))
    model_params = llama_cpp.llama_model_default_params()
    model_params.n_gpu_layers = 0
    model = llama_cpp.llama_model_load_from_file(model_file.encode(), model_params)
    vocab_size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
    longest = max(map(len, windows))
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = longest
    params.n_threads = params.n_threads_batch = 2
    context = llama_cpp.llama_init_from_model(model, params)
    batch = llama_cpp.llama_batch_init(longest, 0, 1)
    rows = []
    for window in windows:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), False)
        batch.n_tokens = len(window) - 1
        for place, token in enumerate(window[:-1]):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, place, 1
            batch.seq_id[place][0], batch.logits[place] = 0, True
        if llama_cpp.llama_decode(context, batch):
            raise SystemExit("llama_decode failed")
        values = llama_cpp.llama_get_logits(context)
        rows.append(np.ctypeslib.as_array(values, (batch.n_tokens, vocab_size)).copy())
    np.save(out, np.concatenate(rows))


def main() -> None:
    llama_cpp.llama_log_set(on_log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    match sys.argv[1:]:
        case ["quantize", source, target, name]:
            quantize(source, target, name)
        case ["logits", model, windows, out]:
            logits(model, windows, out)
        case ["bytes", model]:
            print(sum(int(tensor.n_bytes) for tensor in gguf.GGUFReader(model).tensors))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
