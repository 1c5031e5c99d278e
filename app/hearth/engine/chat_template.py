"""Messages to prompt text, by the model's own chat template.

A template is third-party code: it runs in jinja2's immutable sandbox, with the functions that Hugging Face's
`apply_chat_template` gives it, and its output is bounded in length and time.
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Lock
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.sandbox

from hearth.engine.host.protocol import ChatMessage
from hearth.errors import ChatTemplateFailed

MAX_CHARACTERS = 16 << 20
MAX_SECONDS = 10.0


# A template is a program: it can divide by zero, index past an end or recurse as any other can.
_TEMPLATE_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    MemoryError,
    SyntaxError,
)

# The process has one such timer.
_bounding = Lock()


class _GenerationTag(jinja2.ext.Extension):
    """`{% generation %}`, with which training code marks what the assistant wrote; here it only passes through."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatTemplate:
    """A compiled chat template.

    Args:
        source: the jinja2 text.
        name: the model's name, for errors.
        special_tokens: `bos_token`, `eos_token` and the like, as the template may name them.
    """

    def __init__(self, source: str, name: str, special_tokens: dict[str, str]) -> None:
        self._name = name
        self._special_tokens = special_tokens
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols, _GenerationTag]
        )
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            with _bounded():
                self._template = environment.from_string(source)
        except _TEMPLATE_ERRORS as error:
            raise self._failed(error) from error

    def render(self, messages: Sequence[ChatMessage]) -> str:
        """The prompt that asks the assistant for the next message.

        Raises:
            ChatTemplateFailed: the template refuses these messages, is wrong, or does not come to an end.
        """
        context = {
            **self._special_tokens,
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "add_generation_prompt": True,
            "tools": None,
            "documents": None,
        }
        deadline, size, pieces = time.monotonic() + MAX_SECONDS / 2, 0, []
        try:
            with _bounded():
                for piece in self._template.generate(context):
                    size += len(piece)
                    if size > MAX_CHARACTERS or time.monotonic() > deadline:
                        raise _Endless("it does not come to an end")
                    pieces.append(piece)
            text = "".join(pieces)
            text.encode()  # half a surrogate pair is no text
        except _TEMPLATE_ERRORS as error:
            raise self._failed(error) from error
        return text

    def _failed(self, error: BaseException) -> ChatTemplateFailed:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        return ChatTemplateFailed(name=self._name, reason=reason)


class _Endless(ValueError):
    pass


@contextmanager
def _bounded() -> Iterator[None]:
    """End the process where a template computes for MAX_SECONDS without giving anything out.

    Such a template cannot be interrupted: it may even hold the interpreter's lock. It runs in a model's own host, so
    that model alone ends, and the app says so.
    """
    with _bounding:
        faulthandler.dump_traceback_later(MAX_SECONDS, exit=True, file=sys.__stderr__ or sys.stderr)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _strftime_now(pattern: str) -> str:
    return datetime.now().astimezone().strftime(pattern)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Plain JSON: jinja2's own filter escapes HTML, which prompts must not."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)
