"""Which ONNX Runtime is here and what it can run on, asked in a process of its own.

`python -m hearth.hardware.probe` (in the packaged app `hearth --probe`) prints the answer as JSON. The desktop asks
through `run_probe`, so that it never carries ONNX Runtime, and a runtime that crashes takes nothing with it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec

from hearth.child_process import answer_of, own_command

TIMEOUT_SECONDS = 60


class RuntimeProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Attributes:
        version: of ONNX Runtime; empty where it cannot be loaded.
        providers: execution providers that it has, best first.
        problem: why it cannot be loaded, or empty.
    """

    version: str = ""
    providers: tuple[str, ...] = ()
    problem: str = ""


def run_probe() -> RuntimeProbe:
    """Ask in a process of its own; never raises."""
    try:
        answer = answer_of(own_command("hearth.hardware.probe", "--probe"), TIMEOUT_SECONDS)
        return msgspec.json.decode(answer, type=RuntimeProbe)
    except subprocess.CalledProcessError as error:
        return RuntimeProbe(problem=f"the probe ended with code {error.returncode}")
    except (OSError, subprocess.TimeoutExpired, msgspec.DecodeError) as error:
        return RuntimeProbe(problem=str(error))


def probe() -> RuntimeProbe:
    """Load ONNX Runtime into this process and ask it."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        return RuntimeProbe(problem=str(error))
    return RuntimeProbe(
        version=onnxruntime.__version__, providers=tuple(onnxruntime.get_available_providers())
    )


def main() -> int:
    """Print the answer as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(probe()).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
