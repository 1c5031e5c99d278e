"""Providers that are part of the ONNX Runtime that is installed."""

from __future__ import annotations

from collections.abc import Mapping

import onnxruntime as ort

from hearth.i18n import tr

CPU = "CPUExecutionProvider"
_ATTENTION = "GroupQueryAttention"


def version_of(ort_name: str) -> str:
    """That of ONNX Runtime, where it has this provider."""
    return str(ort.__version__) if ort_name in ort.get_available_providers() else ""


def open_on(
    ort_name: str,
    model: str | bytes,
    options: ort.SessionOptions,
    provider_options: Mapping[str, str] | None = None,
) -> ort.InferenceSession:
    """The session on this provider; the CPU takes the parts of the model that it does not know."""
    providers = [(ort_name, dict(provider_options or {})), CPU]
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Left to itself, ONNX Runtime would print that it failed, and go on with the CPU as if nothing were.
    session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    check_use(session, ort_name)
    return session


def check_use(session: ort.InferenceSession, ort_name: str) -> None:
    """Raise where the provider was left out, as happens when a library that it needs is missing."""
    if ort_name not in session.get_providers():
        raise RuntimeError(tr("ONNX Runtime could not start it"))


def check_attention(session: ort.InferenceSession) -> None:
    """Raise where the CPU has taken the attention of a session by `open_on`, which is then neither here nor there.

    CUDA's kernel computes with 16-bit floats only, and a model that is made for the CPU has 32-bit ones.
    """
    for part in session.get_provider_graph_assignment_info():
        if part.ep_name == CPU and any(node.op_type == _ATTENTION for node in part.get_nodes()):
            raise RuntimeError(
                tr("the model is made for another device, and its attention would run on the processor")
            )
