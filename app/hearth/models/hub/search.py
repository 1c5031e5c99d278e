"""Repositories on the hub that have something for Hearth: a model that it can run, or a checkpoint that it can quantize."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

import msgspec
from huggingface_hub import ModelInfo

from hearth.errors import HearthError
from hearth.models.hub.choices import Choice, Format, choices, kinds
from hearth.models.hub.client import HubClient

log = logging.getLogger(__name__)

_LOOKED_AT = 100
_AT_ONCE = 6
_LISTEN_SECONDS = 0.1  # to Ctrl+C, where a thread that waits does not hear it

Item = TypeVar("Item")
Result = TypeVar("Result")


class Offered(msgspec.Struct, frozen=True):
    """A model that a repository has: what `--file` names it by, and its size."""

    name: str
    format: Format
    bytes: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A repository.

    Attributes:
        gated: only for those who accepted its terms.
        downloads: in the last month.
        models: that it has; empty where the hub did not tell.
    """

    repository: str
    formats: tuple[Format, ...]
    gated: bool
    downloads: int
    models: tuple[Offered, ...]


def search(hub: HubClient, words: str, model_types: Collection[str], limit: int) -> list[Found]:
    """The most fetched repositories whose names have these words, those with nothing for Hearth left out.

    Args:
        model_types: of checkpoints that can be quantized.

    Raises:
        HubOffline, HubUnreachable, HubBusy, HubFailed, TokenRefused: the hub cannot be asked.
    """
    fitting = []
    for info in hub.search(words, _LOOKED_AT):
        names = [file.rfilename for file in info.siblings or ()]
        kind = (info.config or {}).get("model_type", "")
        formats = kinds(names, kind if isinstance(kind, str) else "", model_types)
        if formats:
            fitting.append((info, tuple(sorted(formats))))
    return _in_parallel(lambda pair: _found(hub, pair[0], pair[1], model_types), fitting[:limit])


def _found(
    hub: HubClient, info: ModelInfo, formats: tuple[Format, ...], model_types: Collection[str]
) -> Found:
    return Found(
        repository=info.id,
        formats=formats,
        gated=bool(info.gated),
        downloads=info.downloads or 0,
        models=tuple(
            Offered(choice.name, choice.format, choice.bytes)
            for choice in _choices(hub, info.id, model_types)
        ),
    )


def _choices(hub: HubClient, name: str, model_types: Collection[str]) -> tuple[Choice, ...]:
    try:
        return choices(hub.repository(name), model_types)
    except HearthError as error:
        log.info("The files of %s are not known: %s", name, error)
        return ()


def _in_parallel(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What `work` gives for each item, several at once. Nobody is waited for once this is interrupted, or one has failed."""
    waiting = deque(enumerate(items))
    results: SimpleQueue[tuple[int, Result | Exception]] = SimpleQueue()

    def run() -> None:
        with suppress(IndexError):
            while True:
                index, item = waiting.popleft()
                try:
                    results.put((index, work(item)))
                except Exception as error:  # noqa: BLE001 (raised again on the thread that waits)
                    results.put((index, error))

    for number in range(min(_AT_ONCE, len(items))):
        # Daemons: a pool's threads would keep the program from ending while the hub lets them wait.
        Thread(target=run, name=f"search-{number}", daemon=True).start()
    found: dict[int, Result] = {}
    try:
        while len(found) < len(items):
            with suppress(Empty):
                index, result = results.get(timeout=_LISTEN_SECONDS)
                if isinstance(result, Exception):
                    raise result
                found[index] = result
    finally:
        waiting.clear()
    return [found[index] for index in range(len(items))]
