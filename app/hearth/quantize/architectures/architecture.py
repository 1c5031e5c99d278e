"""The seam between a checkpoint and the graph: an architecture describes the one as a `Decoder`."""

from __future__ import annotations

from collections.abc import Callable

from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.decoder import Decoder

# Raises ModelFileInvalid or ArchitectureUnsupported where the checkpoint is none of its kind.
Architecture = Callable[[Checkpoint], Decoder]
