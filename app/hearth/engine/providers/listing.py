"""Which providers are installed here, and which of them can be used."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
import onnxruntime as ort

from hearth.engine.providers.listed import ListedProvider, Listing
from hearth.engine.providers.provider import Provider, availability, is_usable
from hearth.engine.providers.registry import PROVIDERS
from hearth.i18n import use_language


def write_listing(language: str) -> None:
    """Write the listing to standard output as one line of JSON, its words in `language`."""
    use_language(language)
    # Bytes, since a pipe may be of another encoding than UTF-8.
    sys.stdout.buffer.write(msgspec.json.encode(list_providers()) + b"\n")


def list_providers(providers: Sequence[Provider] = PROVIDERS) -> Listing:
    """Ask every provider."""
    listed, usable = [], []
    for provider in providers:
        found = availability(provider)
        if not found.reason:
            usable.append(provider)
        listed.append(
            ListedProvider(
                id=provider.id,
                title=provider.title,
                version=found.version,
                hardware=found.hardware,
                reason=found.reason,
                is_tried=provider.is_tried,
            )
        )
    return Listing(runtime=runtime_text(usable), providers=tuple(listed))


def usable_providers(providers: Sequence[Provider]) -> list[Provider]:
    """Those that can be used here, in the same order."""
    return [provider for provider in providers if is_usable(provider)]


def runtime_text(usable: Sequence[Provider]) -> str:
    """ONNX Runtime and these providers with their versions: with another text, what was measured is out of date."""
    return ", ".join([ort.__version__, *(f"{provider.id} {provider.version()}" for provider in usable)])
