"""Which format of a model is better here, ONNX or GGUF: by what models in both have shown on this machine.

advice = best_format(fits, fits.of_catalogue(entry)["balanced"], fits.of_gguf(entry.shape, entry.gguf[0].bytes))
advice.format, str(advice.reason)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hearth.i18n import mark
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.fit import Fit, ModelFit, Reason, speed_text
from hearth.services.model_fit import Fits

CONTEXT: Final = 4096
# A smaller gain is within what two measurements of the same differ by.
_CLEAR_GAIN = 1.15
_METAL_SYSTEM, _METAL_PROCESSOR = "Darwin", "arm64"


@dataclass(frozen=True, slots=True)
class FormatAdvice:
    """The format to take, GENAI or GGUF.

    Attributes:
        reason: a sentence.
        is_measured: models in both formats have run here.
        gain: how many times as fast as in ONNX the model would write in GGUF; 0 where that is not known.
    """

    format: str
    reason: Reason
    is_measured: bool = False
    gain: float = 0.0


def best_format(fits: Fits, onnx: ModelFit, gguf: ModelFit, context: int = CONTEXT) -> FormatAdvice:
    """The better of two forms of one model for a conversation of `context` tokens.

    ONNX is advised unless the model only fits in GGUF, or models that have run here in both formats, in a benchmark or
    answering, show that it would write clearly faster in GGUF. Equal speeds are assumed before that.

    Args:
        onnx: the model as Hearth would quantize it or as it is published in onnxruntime-genai's format.
        gguf: the same model as one GGUF file.
    """
    ours, other = onnx.at(context), gguf.at(context)
    if Fit.NOT in (ours.fit, other.fit) and ours.fit is not other.fit:
        template, form = mark("It fits this machine in ONNX only."), GENAI
        if ours.fit is Fit.NOT:
            template, form = mark("It fits this machine in GGUF only."), GGUF
        return FormatAdvice(form, Reason(template, {}))
    is_measured = fits.experience.knows(GENAI) and fits.experience.knows(GGUF)
    if not (is_measured and ours.write_speed and other.write_speed):
        template = mark("Nothing has run here in both formats yet, so ONNX is taken.")
        if fits.machine.system.startswith(_METAL_SYSTEM) and fits.machine.system.endswith(_METAL_PROCESSOR):
            template = mark(
                "On this Mac GGUF models run on the graphics processor, which may be faster: measure the same model in "
                "both formats with “hearth bench MODEL --beside OTHER”."
            )
        return FormatAdvice(GENAI, Reason(template, {}))
    gain = other.write_speed / ours.write_speed
    form = GGUF if gain >= _CLEAR_GAIN else GENAI
    template = mark("On this machine it writes about as fast in GGUF as in ONNX.")
    if gain >= _CLEAR_GAIN:
        template = mark(
            "On this machine it would write {n} times as fast in GGUF as in ONNX, by what has run here."
        )
    elif gain <= 1 / _CLEAR_GAIN:
        template = mark(
            "On this machine it would write {n} times as fast in ONNX as in GGUF, by what has run here."
        )
    return FormatAdvice(form, Reason(template, {"n": speed_text(max(gain, 1 / gain))}), True, gain)
