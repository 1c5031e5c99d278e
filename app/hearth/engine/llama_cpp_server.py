"""llama.cpp's server in this process, by the package xllamacpp: asked by calls, and closed to everybody else.

The server always listens somewhere. It is given a socket in a folder that only this user can enter, and the socket's
file is deleted as soon as the server is there, so that nobody can connect; a key that nobody knows is asked for as well.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hearth.errors import EngineMissing, ModelLoadFailed, ModelRunFailed, PromptTooLong, RequestInvalid
from hearth.i18n import tr

log = logging.getLogger(__name__)

_FORMAT, _EXTRA = "GGUF", "gguf"
_NO_GPU: Final = 0
_ALL_LAYERS: Final = -1
# So many prompt tokens are read in a step: what others write stalls that long, and an abort is heard that late.
_BATCH_TOKENS: Final = {"cpu": 128, "gpu": 512}
_CHECKPOINTS = 2  # of windows of attention, to go on with a conversation; each may be 100 MB
_SILENT, _ERRORS = -1, 1
_TOO_LONG = "exceed_context_size_error"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How a model is loaded.

    Attributes:
        context_length: tokens of keys and values, shared by all slots.
        is_kv_int8: keys and values are int8 (Q8_0) in place of float16.
        uses_gpu: as many layers as fit lie in a graphics card, where this build of llama.cpp has one.
    """

    context_length: int
    slots: int
    threads: int
    is_kv_int8: bool
    uses_gpu: bool


class LlamaCppServer:
    """One model in llama.cpp. Every method may be called on any thread.

    Attributes:
        context_length: as llama.cpp has made it.
        device: what it runs on, such as "CPU".
        version: of xllamacpp.
    """

    def __init__(self, file: Path, name: str, options: ServerOptions) -> None:
        """Load it.

        Raises:
            EngineMissing: xllamacpp is not installed.
            ModelLoadFailed: llama.cpp cannot load it.
        """
        try:
            import xllamacpp
        except ImportError as error:
            raise EngineMissing(name=name, format=_FORMAT, extra=_EXTRA) from error
        self._name = name
        self.version: str = xllamacpp.__version__
        self.device = _device(xllamacpp) if options.uses_gpu else "CPU"
        kind = "gpu" if self.device != "CPU" else "cpu"
        try:
            self._server = _open(xllamacpp, _params(xllamacpp, file, options, kind))
        except RuntimeError as error:
            raise ModelLoadFailed(name=name, reason=_why(xllamacpp, file, options)) from error
        self.context_length = options.context_length
        self.context_length = self._exceeded("")[1]

    def count(self, prompt: str) -> int:
        """Tokens of a prompt, with those that the tokenizer puts around it.

        There is no call that only counts. A prompt that is too long by far is refused before anything is computed,
        with its length, so it is asked with a known number of tokens behind it.
        """
        tokens, limit = self._exceeded(prompt)
        return tokens - self._padding(limit)

    def complete(self, body: dict[str, Any], on_event: Callable[[dict[str, Any]], bool]) -> None:
        """Write an answer; blocks. `on_event` gets each event of the stream, and gives True to stop.

        Raises:
            RequestInvalid, PromptTooLong, ModelRunFailed: the server refuses it, or fails.
        """
        failed: list[dict[str, Any]] = []

        def take(event: dict[str, Any]) -> bool:
            if "choices" in event:
                return on_event(event)
            failed.append(event.get("error") or event)
            return True

        self._server.handle_completions({**body, "stream": True}, take)
        if failed:
            raise self._error(failed[0])

    def _exceeded(self, prompt: str) -> tuple[int, int]:
        """Tokens of a prompt with padding, and how many there may be."""
        answer = self._server.handle_completions(
            {"prompt": [prompt, *[0] * self._padding(self.context_length)], "n_predict": 0}
        )
        error = answer.get("error") or answer
        if error.get("type") != _TOO_LONG:
            raise self._error(error)
        return int(error["n_prompt_tokens"]), int(error["n_ctx"])

    @staticmethod
    def _padding(context_length: int) -> int:
        return context_length + 256  # llama.cpp rounds its context up to a multiple of that

    def _error(self, error: dict[str, Any]) -> RequestInvalid | PromptTooLong | ModelRunFailed:
        if error.get("type") == _TOO_LONG:
            return PromptTooLong(tokens=int(error["n_prompt_tokens"]), limit=int(error["n_ctx"]) - 1)
        reason = (str(error.get("message", "")).strip() or "?").splitlines()[0][:300].rstrip(".")
        if error.get("type") == "invalid_request_error":
            return RequestInvalid(reason=reason)
        return ModelRunFailed(name=self._name, reason=reason)


def _params(xllamacpp: Any, file: Path, options: ServerOptions, kind: str) -> Any:
    """Nothing is fetched, nothing is drawn, and one more slot than answers, so that prompts can always be counted."""
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx = options.context_length
    params.n_parallel = options.slots + 1
    params.kv_unified = True
    params.n_batch = params.n_ubatch = _BATCH_TOKENS[kind]
    params.n_gpu_layers = _ALL_LAYERS if kind == "gpu" else _NO_GPU
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = options.threads
    if options.is_kv_int8:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED
    params.cache_ram_mib = 0  # what a slot has read stays in it, and nowhere else
    params.cache_idle_slots = False
    params.n_ctx_checkpoints = _CHECKPOINTS
    params.offline = True
    params.ui = False
    params.endpoint_slots = False
    params.use_jinja = False
    params.enable_chat_template = False
    params.cors_origins = ""
    params.api_keys = [secrets.token_urlsafe(32)]
    params.n_threads_http = 1
    params.warmup = False
    params.verbosity = _SILENT
    return params


def _device(xllamacpp: Any) -> str:
    """The name of the graphics card that this build can use; CPU where there is none."""
    kinds = xllamacpp.ggml_backend_dev_type
    cards = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    for device in xllamacpp.get_device_info():
        if device["type"] in [int(card) for card in cards]:
            return str(device.get("description") or device.get("name"))
    return "CPU"


def _open(xllamacpp: Any, params: Any) -> Any:
    """The server, on a socket that is gone when this returns."""
    # Windows may keep the file of an open socket; then the folder and the key keep others out.
    with tempfile.TemporaryDirectory(prefix="hearth-", ignore_cleanup_errors=True) as folder:
        params.hostnames = [str(Path(folder, "s.sock"))]
        return xllamacpp.Server(params)


def _why(xllamacpp: Any, file: Path, options: ServerOptions) -> str:
    """Why a model cannot be loaded: llama.cpp says it on the error stream, so it is asked once more and listened to."""
    params = _params(xllamacpp, file, options, "cpu")
    params.verbosity = _ERRORS
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            with suppress(RuntimeError):
                _open(xllamacpp, params)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        heard.seek(0)
        printed = heard.read(1 << 20).decode("utf-8", errors="replace")
    for line in printed.splitlines():
        log.info("llama.cpp: %s", line)
    return _reason(printed)


def _reason(printed: str) -> str:
    """The first reason in what llama.cpp has printed."""
    for line in printed.splitlines():
        if "error loading model" not in line:
            continue
        said = line.rsplit("error loading model", 1)[-1].lstrip(": ").removeprefix("architecture: ").strip()
        if "unknown model architecture" in said:
            architecture = said.rsplit(":", 1)[-1].strip(" '")
            return tr("llama.cpp does not know the architecture “{name}”", name=architecture)
        if said:
            return tr("llama.cpp says: {reason}", reason=said[:200].rstrip("."))
    return tr("llama.cpp cannot read it; the log file says more")
