"""A model's packed form against its plain one: loading, private memory and decoding, in turns, through engine hosts.

    python tests/benchmarks/packed_weights.py MODEL_FOLDER [--runs 5] [--tokens 32] [--cache FOLDER]

Making the packed form compares its logits with those of the plain one bit by bit; here the tokens of both are compared.
Prints medians. Cold is a load with the files out of the system's cache. `--cache` keeps the packed form for next time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

import msgspec

from hearth.config import EngineSection
from hearth.engine.host.client import HostClient
from hearth.engine.host.protocol import VERSION, EngineOptions, Load, LoadFailed, Outputs, Ready, Submit
from hearth.engine.ort_session import model_origin
from hearth.engine.packed_weights import PackedWeights
from hearth.engine.packing import pack
from hearth.engine.sampling_params import SamplingParams
from hearth.hardware.machine import read_machine
from hearth.model_folder.folder import ModelFolder
from hearth.services.benchmark.file_cache import evict
from hearth.services.benchmark.private_memory import private_bytes
from hearth.services.engine_options import engine_options

MB = 1 << 20
PROMPT = [100 + 7 * number for number in range(32)]


@dataclass
class Host:
    """An engine host with a model, from its load on.

    Attributes:
        load_seconds: from the message to the answer, the interpreter's start not counted.
        token_ids: of the last answer.
    """

    client: HostClient
    load_seconds: float = 0.0
    token_ids: list[int] = field(default_factory=list)

    def load(self, folder: ModelFolder, options: EngineOptions) -> None:
        """Load; raises HostCrashed or what prevented it."""
        started = time.perf_counter()
        self.client.send(
            Load(version=VERSION, name="model", folder=str(folder.path), roots=[], options=options)
        )
        reply = self.client.receive()
        if isinstance(reply, LoadFailed):
            raise reply.error.error()
        if not isinstance(reply, Ready) or reply.info.is_packed != bool(options.packed_bytes):
            raise SystemExit("the host did not load the form that is to be measured")
        self.load_seconds = time.perf_counter() - started

    def answer(self, tokens: int) -> list[float]:
        """Ask for so many tokens; the seconds from each to the next, the prompt's not among them."""
        params = SamplingParams(temperature=0, max_tokens=tokens, ignore_eos=True)
        self.client.send(Submit(request_id="a", params=params, token_ids=PROMPT))
        self.token_ids, times = [], []
        while True:
            reply = self.client.receive()
            for output in reply.items if isinstance(reply, Outputs) else ():
                if output.error is not None:
                    raise output.error.error()
                self.token_ids += output.token_ids
                times.append(time.perf_counter())
                if output.finish_reason is not None:
                    return [later - earlier for earlier, later in pairwise(times)]

    @property
    def private_bytes(self) -> int:
        return private_bytes(self.client.pid)


@contextmanager
def host() -> Iterator[Host]:
    client = HostClient("model")
    try:
        yield Host(client)
    finally:
        client.kill()
        client.dispose()


@contextmanager
def both_forms(
    folder: ModelFolder, cache: Path | None
) -> Iterator[tuple[dict[str, EngineOptions], list[Path]]]:
    """The options of the plain and the packed form, and the files of both; the packed one is made where it is not there."""
    base = engine_options(EngineSection(kept_context_mb=0, packed_weights="off"), read_machine())
    plain = msgspec.structs.replace(
        base, drafts=False, kv_cache_bytes=256 * MB, max_context=2048, max_slots=1
    )
    with tempfile.TemporaryDirectory() as temporary:
        packed = PackedWeights(cache or Path(temporary), 1 << 40)
        origin = model_origin(folder, plain.machine)
        if packed.find(origin) is None:
            started = time.perf_counter()
            part = packed.new_part()
            pack(folder, "model", packed, plain, part)
            shutil.rmtree(part)
            print(f"packed in {time.perf_counter() - started:.1f} s, its logits compared bit by bit")
        file = packed.find(origin)
        if file is None:
            raise SystemExit("the packed form is not there")
        files = [folder.graph_file, *folder.data_files, *file.parent.iterdir()]
        forms = {
            "plain": plain,
            "packed": msgspec.structs.replace(
                plain, packed_folder=str(packed.folder), packed_bytes=packed.byte_limit, packs_all=True
            ),
        }
        yield forms, files


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--cache", type=Path)
    arguments = parser.parse_args()
    folder = ModelFolder.open(arguments.model)
    figures: dict[str, dict[str, list[float]]] = {}
    said: set[tuple[int, ...]] = set()
    with both_forms(folder, arguments.cache) as (forms, files):
        for _ in range(arguments.runs):
            for form, options in forms.items():
                mine = figures.setdefault(form, {"cold": [], "warm": [], "private": [], "decode": []})
                if evict(files):
                    with host() as cold:
                        cold.load(folder, options)
                    mine["cold"].append(cold.load_seconds)
                with host() as warming:
                    warming.load(folder, options)
                with host() as warm:
                    warm.load(folder, options)
                    mine["warm"].append(warm.load_seconds)
                    mine["decode"].append(1 / median(warm.answer(arguments.tokens)))
                    mine["private"].append(warm.private_bytes / MB)
                    said.add(tuple(warm.token_ids))
    print(f"{'':<8}{'cold load, s':>14}{'warm load, s':>14}{'private, MB':>14}{'decode, tok/s':>14}")
    for form, mine in figures.items():
        cells = [
            f"{median(mine[name]):>14.2f}" if mine[name] else f"{'–':>14}"
            for name in ("cold", "warm", "private", "decode")
        ]
        print(f"{form:<8}{''.join(cells)}")
    print("the same tokens in every run" if len(said) == 1 else "THE TOKENS DIFFER")


if __name__ == "__main__":
    main()
