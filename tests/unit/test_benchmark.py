"""The parts of a benchmark that need no model: what counts, what is compared, and where memory and caches are seen."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hearth.engine.host.protocol import ModelInfo
from hearth.engine.outputs import Usage
from hearth.engine.relative_error import relative_error
from hearth.errors import RequestInvalid
from hearth.services.benchmark.benchmark import Plan
from hearth.services.benchmark.figures import Key, What
from hearth.services.benchmark.file_cache import evict
from hearth.services.benchmark.hearth_side import first_token_in_time, shared_speed
from hearth.services.benchmark.private_memory import Peak, private_bytes
from hearth.services.benchmark.shown_figures import measured_in
from hearth.services.benchmark.side import random_tokens
from hearth.services.shown_speed import Measured

INFO = ModelInfo(
    architecture="llama",
    context_length=4000,
    vocab_size=100,
    has_chat_template=False,
    load_seconds=1.0,
    threads=2,
    max_slots=4,
    kv_bytes_per_token=1,
    kv_cache_bytes=1,
    provider="CPUExecutionProvider",
)
MB = 1 << 20


def test_a_ratio_is_above_one_where_hearth_is_ahead() -> None:
    assert Key(What.DECODE, 0, 1).figure([30.0], [20.0]).ratio == 1.5
    assert Key(What.LOAD_WARM).figure([2.0], [3.0]).ratio == 1.5
    assert Key(What.MEMORY_MOST).figure([200.0], [300.0]).ratio == 1.5
    assert Key(What.NOISE).figure([0.04], [0.06]).ratio == pytest.approx(1.5)


def test_of_its_figures_those_of_one_answer_are_put_beside_the_estimate() -> None:
    keys = {Key(What.DECODE, 0, 1): 30.0, Key(What.DECODE, 0, 4): 60.0, Key(What.DECODE, 2048, 1): 20.0}
    keys |= {Key(What.PREFILL, 512): 90.0, Key(What.PREFILL, 4096): 80.0, Key(What.MEMORY_ONE, 512, 1): 1e9}
    figures = [key.figure([value], [2 * value]) for key, value in keys.items()]
    ours = Measured(context=80, written=64, write_speed=30, read=512, read_speed=90, memory=10**9)
    assert measured_in(figures, 64, is_peer=False) == ours
    other = measured_in(figures, 64, is_peer=True)
    assert other is not None
    assert (other.write_speed, other.read_speed) == (60, 180)
    assert measured_in(figures, 8, is_peer=False) is None, "eight tokens show nothing"
    assert measured_in(figures[3:], 64, is_peer=False) is None


def test_a_figure_is_the_median_of_its_runs() -> None:
    figure = Key(What.PREFILL, 512).figure([1.0, 100.0, 3.0], [4.0, 2.0])
    assert (figure.hearth, figure.peer) == (3.0, 3.0)
    assert figure.hearth_runs == [1.0, 100.0, 3.0]


def test_without_a_peer_there_is_no_ratio() -> None:
    figure = Key(What.DECODE, 0, 1).figure([30.0], [])
    assert (figure.peer, figure.ratio) == (None, None)


def test_a_plan_is_cut_to_what_the_model_holds() -> None:
    plan = Plan().fitted(INFO)
    assert plan.prompt_tokens == (512, 3999)
    assert plan.streams == (1, 2, 4)
    assert plan.contexts == (0, 2048, 3936)
    with pytest.raises(RequestInvalid):
        Plan(generate_tokens=3990).fitted(INFO)


def test_one_stream_without_context_is_measured_once() -> None:
    plan = Plan(streams=(1, 2), contexts=(0, 2048))
    assert plan.decodes() == [(1, 0), (2, 0), (1, 2048)]


def test_only_the_time_in_which_all_streams_write_counts() -> None:
    # From 1.0 to 2.0 both write: two tokens of the first and four of the second stream.
    first = [0.0, 0.5, 1.0, 1.5, 2.0]
    second = [1.0, 1.25, 1.5, 1.75, 2.0, 2.25]
    assert shared_speed([first, second]) == 6.0
    assert shared_speed([[0.0, 1.0], [2.0, 4.0]]) == 0.75  # never both: all of it counts
    assert shared_speed([[1.0]]) == 0.0


def test_a_reader_that_wakes_up_late_makes_nothing_faster() -> None:
    usage = Usage(seconds=1.5, seconds_to_first_token=0.5)
    assert first_token_in_time([8.9, 8.9, 9.0], usage) == [8.0, 8.9, 9.0]
    assert first_token_in_time([7.9, 8.5, 9.0], usage) == [7.9, 8.5, 9.0]


def test_prompts_differ_from_their_first_tokens_on() -> None:
    prompts = [random_tokens(16, 100_000, str(seed)) for seed in range(50)]
    assert len({tuple(prompt[:2]) for prompt in prompts}) == 50
    assert random_tokens(16, 100_000, "3") == prompts[3]


def test_the_relative_error_is_that_of_root_mean_squares() -> None:
    reference = np.array([[3.0, -4.0]], np.float32)
    assert relative_error(reference, reference) == 0.0
    assert relative_error(reference * 1.1, reference) == pytest.approx(0.1)


def test_private_memory_is_what_no_file_backs(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(bytes(64 * MB))
    before = private_bytes(os.getpid())
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert not any(mapped[:: mmap.PAGESIZE])
        assert private_bytes(os.getpid()) - before < 32 * MB
    peak = Peak()
    with peak.watch(os.getpid):
        held = bytearray(os.urandom(1) * (64 * MB))
        assert private_bytes(os.getpid()) - before > 48 * MB
    del held
    assert peak.bytes - before > 48 * MB
    assert private_bytes(0) == 0


def test_an_evicted_file_comes_from_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(os.urandom(4 * MB))
    if not evict([file]):
        pytest.skip("this system or disk keeps files in its cache")
    descriptor = os.open(file, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            os.preadv(descriptor, [bytearray(1)], 2 * MB, os.RWF_NOWAIT)
    finally:
        os.close(descriptor)


def test_a_missing_file_is_not_evicted(tmp_path: Path) -> None:
    assert not evict([tmp_path / "none"])


def test_a_figure_is_json() -> None:
    data = msgspec.json.decode(msgspec.json.encode(Key(What.DECODE, 2048, 1).figure([1.5], [])))
    assert data["what"] == "decode"
    assert (data["tokens"], data["streams"], data["unit"]) == (2048, 1, "tokens/s")
