"""What the process that asks every provider tells. No ONNX Runtime in here."""

from __future__ import annotations

import msgspec


class ListedProvider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider.

    Attributes:
        version: of what is installed; empty where it is not.
        hardware: what it would run on; empty where nothing is.
        reason: why it cannot be used, in a few words; empty where it can.
        is_tried: whether somebody has run a model on it.
    """

    id: str
    title: str
    version: str
    hardware: str
    reason: str
    is_tried: bool


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """All of them.

    Attributes:
        runtime: versions of ONNX Runtime and of what can be used.
    """

    runtime: str = ""
    providers: tuple[ListedProvider, ...] = ()
