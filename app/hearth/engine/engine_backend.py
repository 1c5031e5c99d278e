"""Backends over the Engine: what is the same whatever computes the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from hearth.engine.engine import Engine
from hearth.engine.host.protocol import ChatMessage, Submit
from hearth.engine.outputs import FinishReason, RequestOutput
from hearth.engine.request import Request
from hearth.engine.stream_decoder import StopMatcher, StreamDecoder, TextDecoder
from hearth.engine.text_stream import TextStream
from hearth.errors import ChatTemplateMissing

if TYPE_CHECKING:
    from hearth.engine.chat_template import ChatTemplate


class TextTokenizer(TextDecoder, Protocol):
    """Text to token ids and back; see `Tokenizer`."""

    def encode(self, text: str) -> list[int]: ...

    def encode_raw(self, text: str) -> list[int]: ...


class EngineBackend:
    """Renders, tokenizes, hands token ids to the Engine, and makes text of what comes back; see `Backend`."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        tokenizer: TextTokenizer,
        template: ChatTemplate | None,
        eos_token_ids: frozenset[int],
    ) -> None:
        self._name = name
        self._engine = engine
        self._tokenizer = tokenizer
        self._template = template
        self._eos_token_ids = eos_token_ids
        self._streams: dict[str, TextStream] = {}

    @property
    def has_work(self) -> bool:
        return self._engine.has_work

    def submit(self, request: Submit) -> None:
        token_ids = request.token_ids
        if token_ids is None:
            token_ids = self._encode(request.messages, request.text)
        # A raw prompt is continued, so its last tokens decide about a leading space; a chat answer begins anew.
        tail = token_ids if request.messages is None else []
        self._engine.submit(
            Request(
                id=request.request_id,
                token_ids=tuple(token_ids),
                params=request.params,
                priority=request.priority,
                client=request.client,
                eos_token_ids=self._eos_token_ids,
            )
        )
        self._streams[request.request_id] = TextStream(
            StreamDecoder(self._tokenizer, tail),
            StopMatcher(request.params.stop),
            self._eos_token_ids.union(request.params.stop_token_ids),
        )

    def abort(self, request_id: str) -> RequestOutput | None:
        output = self._engine.abort(request_id)
        if output is not None:
            output.text = self._streams.pop(request_id).flush()
        return output

    def step(self) -> list[RequestOutput]:
        return [self._with_text(output) for output in self._engine.step()]

    def tidy(self) -> bool:
        return self._engine.tidy()

    def count(self, messages: list[ChatMessage] | None, text: str | None) -> int:
        return len(self._encode(messages, text))

    def _encode(self, messages: list[ChatMessage] | None, text: str | None) -> list[int]:
        if messages is None:
            return self._tokenizer.encode_raw(text or "")
        if self._template is None:
            raise ChatTemplateMissing(name=self._name)
        return self._tokenizer.encode(self._template.render(messages))

    def _with_text(self, output: RequestOutput) -> RequestOutput:
        """Fill in the text that this output's tokens made certain, and end the request at a stop string."""
        stream = self._streams[output.request_id]
        beyond = len(output.token_ids)
        for token in output.token_ids:
            beyond -= 1
            ended = output.finish_reason is FinishReason.STOP and not beyond
            output.text += stream.push([token], ended=ended)
            if stream.is_stopped:
                break
        if stream.is_stopped:
            closed = self._engine.finish(output.request_id, FinishReason.STOP)
            if closed is not None:
                output.finish_reason, output.usage = closed.finish_reason, closed.usage
            if beyond:
                _cut(output, beyond)
        if output.finish_reason is not None:
            if not stream.is_stopped:
                output.text += stream.flush()
            if stream.is_stopped:
                output.finish_reason = FinishReason.STOP
            del self._streams[output.request_id]
        return output


def _cut(output: RequestOutput, beyond: int) -> None:
    """Take back the last tokens, which were drafted: without drafts nothing would have been chosen behind a stop text."""
    del output.token_ids[-beyond:]
    del output.logprobs[-beyond:]
    output.error = None
    if output.usage is not None:
        generated = output.usage.generated_tokens - beyond
        output.usage = msgspec.structs.replace(output.usage, generated_tokens=generated)
