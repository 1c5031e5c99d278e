"""Every architecture that can be built, by the `model_type` of its checkpoints."""

from __future__ import annotations

import difflib

from hearth.errors import ArchitectureUnsupported, HearthError, ModelFileInvalid
from hearth.i18n import tr
from hearth.quantize.architectures.architecture import Architecture
from hearth.quantize.architectures.gemma2 import gemma2
from hearth.quantize.architectures.gemma3 import gemma3
from hearth.quantize.architectures.granite import granite
from hearth.quantize.architectures.llama import llama
from hearth.quantize.architectures.mistral import mistral
from hearth.quantize.architectures.olmo2 import olmo2
from hearth.quantize.architectures.phi3 import phi3
from hearth.quantize.architectures.qwen2 import qwen2
from hearth.quantize.architectures.qwen3 import qwen3
from hearth.quantize.architectures.qwen3_moe import qwen3_moe
from hearth.quantize.architectures.smollm3 import smollm3
from hearth.quantize.checkpoint.checkpoint import CONFIG, Checkpoint
from hearth.quantize.decoder import Decoder
from hearth.quantize.recipe import ORIGINAL
from hearth.quantize.rotary import choose_rope
from hearth.quantize.shapes import check_shapes

ARCHITECTURES: dict[str, Architecture] = {
    "gemma2": gemma2,
    "gemma3": gemma3,
    "gemma3_text": gemma3,
    "granite": granite,
    "llama": llama,
    "mistral": mistral,
    "olmo2": olmo2,
    "phi3": phi3,
    "qwen2": qwen2,
    "qwen3": qwen3,
    "qwen3_moe": qwen3_moe,
    "smollm3": smollm3,
}


def describe(checkpoint: Checkpoint, context: str = ORIGINAL) -> Decoder:
    """The checkpoint's decoder, for texts of the length `context`, which is as in `Recipe`.

    Raises:
        ArchitectureUnsupported: its architecture is not known.
        ModelFileInvalid: it is known, but a setting or a tensor is not as it should be.
    """
    if not checkpoint.model_type:
        raise ModelFileInvalid(
            file=str(checkpoint.folder / CONFIG), reason=tr("it has no {name}", name="model_type")
        )
    architecture = ARCHITECTURES.get(checkpoint.model_type)
    if architecture is None:
        raise _unknown(checkpoint)
    return choose_rope(_described(architecture, checkpoint), context)


def _described(architecture: Architecture, checkpoint: Checkpoint) -> Decoder:
    try:
        return architecture(checkpoint)
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = tr("one of its settings makes no sense ({detail})", detail=error)
        raise ModelFileInvalid(file=str(checkpoint.folder / CONFIG), reason=reason) from error


def _unknown(checkpoint: Checkpoint) -> ArchitectureUnsupported:
    """Names the nearest architecture that is known, and what of it the checkpoint has not."""
    kind = checkpoint.model_type
    nearest = max(ARCHITECTURES, key=lambda known: difflib.SequenceMatcher(None, kind, known).ratio())
    reason = tr("Hearth does not know models of the kind “{kind}”", kind=kind[:40])
    try:
        check_shapes(_described(ARCHITECTURES[nearest], checkpoint), checkpoint)
    except HearthError as error:
        missing = str(error.params.get("reason", error))
        reason = tr(
            "{what}; the nearest is “{nearest}”, but {missing}", what=reason, nearest=nearest, missing=missing
        )
    else:
        reason = tr("{what}; the nearest is “{nearest}”", what=reason, nearest=nearest)
    return ArchitectureUnsupported(name=checkpoint.name, reason=reason)
