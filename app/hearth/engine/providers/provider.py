"""The seam between a model's session and the device that it runs on: ONNX Runtime's execution providers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hearth.engine.kv_memory import KVMemory
from hearth.i18n import tr

if TYPE_CHECKING:
    import onnxruntime as ort


class Provider(Protocol):
    """One execution provider as Hearth uses it. It has no state, so that any process can make its own.

    Attributes:
        id: its name in the settings file.
        ort_name: its name in ONNX Runtime.
        title: its name for people, the same in every language.
        is_tried: whether somebody has run a model on it.
        lacking: template of the words that say that `hardware` finds nothing.
    """

    id: str
    ort_name: str
    title: str
    is_tried: bool
    lacking: str

    def version(self) -> str:
        """Of what is installed; empty where it is not."""
        ...

    def hardware(self) -> str:
        """What it would run on here; empty where nothing is. Asked also where it is not installed."""
        ...

    def open(self, model: str | bytes, options: ort.SessionOptions) -> ort.InferenceSession:
        """The model's session on this provider, with what it needs set in `options`.

        Args:
            model: the path of its graph, or the graph itself.

        Raises:
            Exception: any; it cannot load the model.
        """
        ...

    def kv_memory(self) -> KVMemory:
        """Where the keys and values of its sessions lie; asked after `open`.

        Raises:
            Exception: any; there is no such memory.
        """
        ...


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a provider can be used here.

    Attributes:
        version: of what is installed; empty where it is not.
        hardware: what it would run on; empty where nothing is.
        reason: why it cannot be used, in a few words; empty where it can.
    """

    version: str
    hardware: str
    reason: str


def availability(provider: Provider) -> Availability:
    """Look now; what is installed may open a driver, which takes a moment."""
    version, hardware = provider.version(), provider.hardware()
    reason = ""
    if not hardware:  # said first, since installing it would not help
        reason = tr(provider.lacking)
    elif not version:
        reason = tr("not installed")
    return Availability(version, hardware, reason)


def is_usable(provider: Provider) -> bool:
    """The same in short, and without waking the driver of a provider that is not installed."""
    return bool(provider.version() and provider.hardware())
