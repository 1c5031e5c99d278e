"""Backend for GGUF files: llama.cpp, which batches the answers that are written at the same time by itself."""

from __future__ import annotations

import time
from typing import Any, Final

from hearth.engine.admission import Admission
from hearth.engine.chat_template import ChatTemplate
from hearth.engine.gbnf import to_gbnf
from hearth.engine.host.protocol import ChatMessage, EngineOptions, ModelInfo, Submit
from hearth.engine.llama_cpp_context import bytes_of_token, context_for
from hearth.engine.llama_cpp_server import LlamaCppServer, ServerOptions
from hearth.engine.outputs import FinishReason, TokenLogprobs
from hearth.engine.sampling_params import SamplingParams
from hearth.engine.threaded_backend import Answer, End, Piece, Tell, ThreadedBackend
from hearth.errors import ChatTemplateMissing, ModelUnsupported, PromptTooLong, RequestInvalid
from hearth.i18n import tr
from hearth.model_folder.gguf_file import GgufFile

_SMALLEST_CONTEXT = 64
_CPU: Final = "cpu"
# As in Hearth's own sampler.
_SAMPLERS: Final = ["penalties", "temperature", "top_k", "top_p", "min_p"]
_LARGEST_SEED: Final = 0x7FFFFFFF


class LlamaCppBackend(ThreadedBackend):
    """One GGUF file, answering text requests.

    Prompts are rendered by Hearth's own sandboxed chat template and tokenized by llama.cpp, which puts the BOS token
    first where the file says so. Presence and frequency penalties count the prompt's tokens too. A token that ends
    inside a character is told without its id.
    """

    def __init__(self, file: GgufFile, name: str, options: EngineOptions) -> None:
        """Load the model.

        Raises:
            EngineMissing, ModelLoadFailed, ModelUnsupported, ChatTemplateFailed: it cannot be used.
        """
        started = time.perf_counter()
        super().__init__(name)
        self._file = file
        self._template = (
            ChatTemplate(file.chat_template, name, file.special_tokens) if file.chat_template else None
        )
        is_int8 = options.kv_cache_type == "int8"
        numbers = file.kv_numbers_per_token or 2 * file.layers * file.hidden_size
        bytes_per_token = bytes_of_token(numbers, options)
        context = context_for(file.context_length, options, bytes_per_token)
        if context < min(_SMALLEST_CONTEXT, file.context_length or _SMALLEST_CONTEXT):
            raise ModelUnsupported(name=name, reason=tr("the memory for its context is too small"))
        self._server = LlamaCppServer(
            file.path,
            name,
            ServerOptions(
                context_length=context,
                slots=options.max_slots,
                threads=options.threads,
                is_kv_int8=is_int8,
                uses_gpu=options.devices is None or options.devices.device != _CPU,
            ),
        )
        # llama.cpp rounds its context up; what the model was not trained for is left unused.
        self._context_length = min(context, self._server.context_length)
        self._admission = Admission(options.max_slots, self._context_length)
        self.info = ModelInfo(
            architecture=file.architecture,
            context_length=self._context_length,
            vocab_size=file.vocab_size,
            has_chat_template=self._template is not None,
            load_seconds=time.perf_counter() - started,
            threads=options.threads,
            max_slots=options.max_slots,
            kv_bytes_per_token=bytes_per_token,
            kv_cache_bytes=bytes_per_token * self._server.context_length,
            kv_cache_type="int8" if is_int8 else "float16",
            provider=f"llama.cpp, {self._server.device}",
        )

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        return self._server.count(self._prompt(messages, text))

    def stats(self) -> dict[str, int | float]:
        return {
            "running": self._admission.running,
            "open": len(self._answers),
            "kv_cache_bytes": self.info.kv_cache_bytes,
        }

    def _prepare(self, request: Submit) -> Answer:
        prompt: str | list[int] = request.token_ids or ""
        if request.token_ids is None:
            prompt = self._prompt(request.messages, request.text)
        elif not request.token_ids:
            raise RequestInvalid(reason=tr("the prompt is empty"))
        tokens = self._server.count(prompt) if isinstance(prompt, str) else len(prompt)
        if not tokens:
            raise RequestInvalid(reason=tr("the prompt is empty"))
        if tokens >= self._context_length:
            raise PromptTooLong(tokens=tokens, limit=self._context_length - 1)
        body = {"prompt": prompt, **completion_options(request.params, self._context_length)}
        answer = Answer(request, tokens, body)
        self._admission.add(answer.key, request.client, request.priority, tokens, request.params.max_tokens)
        return answer

    def _begin_next(self) -> None:
        waiting = {answer.key: answer for answer in self._answers.values()}
        for key, room in self._admission.admit():
            answer = waiting[key]
            answer.body["n_predict"] = room
            self._begin(answer)

    def _write(self, answer: Answer, tell: Tell) -> End:
        end = End(FinishReason.ABORT)
        told = 0

        def take(event: dict[str, Any]) -> bool:
            nonlocal end, told
            finished = event["choices"][0]["finish_reason"]
            if finished is not None:
                end = _end(event, finished)
                return False
            piece, told = _piece(event, told, answer.params.logprobs)
            return not tell(piece)

        self._server.complete(answer.body, take)
        return end

    def _ended(self, answer: Answer) -> None:
        self._admission.remove(answer.key)

    def _prompt(self, messages: list[ChatMessage] | None, text: str | None) -> str:
        """The text that llama.cpp tokenizes; it begins with no BOS token where llama.cpp puts one there."""
        prompt = text or ""
        if messages is not None:
            if self._template is None:
                raise ChatTemplateMissing(name=self._name)
            prompt = self._template.render(messages)
        bos = self._file.special_tokens.get("bos_token", "")
        return prompt.removeprefix(bos) if self._file.adds_bos else prompt


def completion_options(params: SamplingParams, context_length: int) -> dict[str, Any]:
    """The parameters as llama.cpp's server has them.

    Raises:
        RequestInvalid: the grammar cannot be held to.
    """
    body: dict[str, Any] = {
        "temperature": params.temperature,
        "top_k": params.top_k,
        "top_p": params.top_p,
        "min_p": params.min_p,
        "repeat_penalty": params.repetition_penalty,
        "repeat_last_n": context_length,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": params.frequency_penalty,
        "samplers": _SAMPLERS,
        "ignore_eos": params.ignore_eos,
        "cache_prompt": True,
        "return_tokens": True,
        "return_progress": True,
        "verbose": True,  # tells the tokens' ids
    }
    if params.logit_bias:
        body["logit_bias"] = [[token, bias] for token, bias in params.logit_bias.items()]
    if params.seed is not None:
        body["seed"] = params.seed & _LARGEST_SEED
    if params.logprobs is not None:
        body["n_probs"] = max(1, params.logprobs)
    if params.grammar is not None:
        body["grammar"] = to_gbnf(params.grammar)
    return body


def _piece(event: dict[str, Any], told: int, logprobs: int | None) -> tuple[Piece, int]:
    """What an event of the stream tells, and how many tokens are told with it."""
    more = event["__verbose"]
    progress = more.get("prompt_progress")
    if progress is not None:
        return Piece(prefilled=int(progress["processed"])), told
    # Tokens that end inside a character come without an event of their own.
    predicted = max(int(more["tokens_predicted"]), told + 1)
    ids = (-1,) * (predicted - told - 1) + tuple(more["tokens"])
    probabilities = more.get("completion_probabilities") or () if logprobs is not None else ()
    return (
        Piece(
            text=event["choices"][0]["text"],
            token_ids=ids,
            logprobs=tuple(_logprobs(one, logprobs or 0) for one in probabilities),
        ),
        predicted,
    )


def _logprobs(one: dict[str, Any], most: int) -> TokenLogprobs:
    top = [(int(other["id"]), float(other["logprob"])) for other in one["top_logprobs"]]
    return TokenLogprobs(int(one["id"]), float(one["logprob"]), top[:most])


def _end(event: dict[str, Any], finished: str) -> End:
    usage = event.get("usage") or {}
    return End(
        FinishReason.LENGTH if finished == "length" else FinishReason.STOP,
        prompt_tokens=usage.get("prompt_tokens"),
        cached_tokens=(usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        generated_tokens=usage.get("completion_tokens"),
    )
