"""Providers that are part of the ONNX Runtime that is installed."""

from __future__ import annotations

from collections.abc import Mapping

import onnxruntime as ort

from hearth.i18n import tr

CPU = "CPUExecutionProvider"


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
    # Left to itself, ONNX Runtime would print that it failed, and go on with the CPU as if nothing were.
    session = ort.InferenceSession(model, options, providers=providers, enable_fallback=0)
    check_use(session, ort_name)
    return session


def check_use(session: ort.InferenceSession, ort_name: str) -> None:
    """Raise where the provider was left out, as happens when a library that it needs is missing."""
    if ort_name not in session.get_providers():
        raise RuntimeError(tr("ONNX Runtime could not start it"))
