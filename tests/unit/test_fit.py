"""The estimate of what a model takes and how fast it is: its arithmetic, and that it errs the right way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gguf_bytes import gguf, llama_keys, number
from hearth.engine.host.protocol import EngineOptions
from hearth.errors import ModelFileInvalid, ModelUnsupported
from hearth.hardware.machine import Machine
from hearth.model_folder.gguf_file import read_gguf
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.catalogue import find_in_catalogue
from hearth.models.experience import Experience, Shown, read_experience, write_experience
from hearth.models.fit import (
    Correction,
    Disk,
    Fit,
    MachineSpec,
    ModelFit,
    advise,
    contexts_up_to,
    memory_text,
)
from hearth.models.shape import ModelShape
from hearth.models.weights import Precision, Weights
from hearth.quantize.recipe_file import load_recipe, recipe_names
from hearth.services.model_fit import Fits, precision_of
from hearth.services.model_formats import best_format
from machine_speeds import speeds

GB = 10**9
ORDER = [Fit.WELL, Fit.SLOWLY, Fit.NOT]
FOUR_BITS = Precision()
SHAPE = find_in_catalogue("qwen2.5-1.5b").shape


def machine(memory: float = 16, bandwidth: float = 40 * GB, compute: float = 500 * GB) -> MachineSpec:
    return MachineSpec(memory_bytes=round(memory * 2**30), cores=8, speeds=speeds(bandwidth, compute))


def model_fit(
    spec: MachineSpec, name: str = "qwen2.5-1.5b", precision: Precision = FOUR_BITS, **more: object
) -> ModelFit:
    shape = find_in_catalogue(name).shape
    weights = Weights.of_shape(shape, precision)
    return ModelFit(shape, weights, spec, Disk(download=0, model=weights.disk), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("block_size", "disk", "a_weight"),
    [(32, 4 / 8 + 4 / 32, 4 / 8 + 8 / 32), (128, 4 / 8 + 4 / 128, 4 / 8 + 8 / 128)],
)
def test_a_matrix_by_hand(block_size: int, disk: float, a_weight: float) -> None:
    precision = Precision(bits=4, block_size=block_size)
    assert precision.disk_bytes(1024, 4096) == 1024 * 4096 * disk
    assert precision.loaded_bytes(1024, 4096) == 1024 * 4096 * a_weight
    assert Precision(bits=16).loaded_bytes(8, 8) == 8 * 8 * 4


def test_keys_and_values_by_hand() -> None:
    memory = model_fit(machine()).memory(8192)
    assert memory.kv == 8192 * 2 * 28 * 2 * 128 * 4
    assert model_fit(machine(), kv_type="int8").memory(8192).kv == memory.kv // 4


def test_a_tied_head_is_loaded_and_its_table_is_the_same_bytes_of_the_file() -> None:
    tied = Weights.of_shape(SHAPE, Precision())
    free = Weights.of_shape(replace_shape(SHAPE, tied=False), Precision())
    assert free.loaded == tied.loaded
    assert free.disk - tied.disk == Precision().disk_bytes(SHAPE.vocab_size, SHAPE.hidden_size)


def test_of_many_experts_a_token_reads_few() -> None:
    shape = find_in_catalogue("qwen3-30b-a3b").shape
    weights = Weights.of_shape(shape, Precision())
    head = shape.vocab_size * shape.hidden_size
    assert weights.products + head == pytest.approx(3.0e9, rel=0.1)
    assert weights.read < weights.loaded / 8
    assert weights.loaded == pytest.approx(30.2e9 * 0.75, rel=0.01)


def test_recipes_are_understood() -> None:
    sizes = {name: Weights.of_shape(SHAPE, precision_of(load_recipe(name))).disk for name in recipe_names()}
    assert sorted(sizes, key=sizes.__getitem__) == ["small", "balanced", "quality", "int8", "reference"]
    assert sizes["balanced"] == pytest.approx(SHAPE.parameters * 5.3 / 8, rel=0.02)


@pytest.mark.parametrize(
    ("memory", "bandwidth", "name", "fit", "word"),
    [
        (16, 50, "qwen3-4b", Fit.WELL, "tokens a second"),
        (16, 12, "qwen3-8b", Fit.SLOWLY, "slower than most people read"),
        (14, 400, "qwen3-14b", Fit.SLOWLY, "leaves other programs little"),
        (8, 400, "qwen3-14b", Fit.NOT, "this machine has 8 GB"),
    ],
)
def test_verdicts_and_their_reasons(memory: float, bandwidth: float, name: str, fit: Fit, word: str) -> None:
    estimate = model_fit(machine(memory, bandwidth * GB), name).at(4096)
    assert estimate.fit is fit
    assert word in str(estimate.reason)


def test_what_settings_give_to_a_conversation_counts() -> None:
    spec = replace(machine(), kv_limit_bytes=256 << 20)
    assert model_fit(spec).at(2048).fit is Fit.WELL
    estimate = model_fit(spec).at(8192)
    assert estimate.fit is Fit.NOT
    assert "448 MB" in str(estimate.reason)
    assert "256 MB" in str(estimate.reason)


def test_where_speeds_are_not_known_memory_alone_decides() -> None:
    estimate = model_fit(machine(bandwidth=0, compute=0)).at(4096)
    assert (estimate.fit, estimate.write_speed, estimate.read_speed) == (Fit.WELL, 0, 0)


def test_advice_names_a_smaller_recipe_or_a_shorter_context() -> None:
    spec = machine(11, 100 * GB)
    names = {"int8": Precision(bits=8), "small": Precision(block_size=128)}
    choices = {name: model_fit(spec, "qwen3-8b", precision) for name, precision in names.items()}
    assert choices["int8"].at(4096).fit is Fit.NOT
    advice = advise(choices, "int8", 4096)
    assert advice is not None
    assert (advice.recipe, advice.context, advice.estimate.fit) == ("small", 4096, Fit.WELL)
    assert advise(choices, "small", 4096) is None
    short = replace(spec, kv_limit_bytes=700 << 20)
    choices = {"small": model_fit(short, "qwen3-8b", Precision(block_size=128))}
    advice = advise(choices, "small", 8192)
    assert advice is not None
    assert advice.context == 2048
    assert advise({"small": model_fit(machine(2), "qwen3-32b")}, "small", 8192) is None


@given(
    *(st.floats(min_value=1, max_value=512) for _ in range(2)),
    *(st.floats(min_value=1e9, max_value=1e12) for _ in range(2)),
    st.integers(min_value=1, max_value=200_000),
)
def test_more_memory_and_faster_memory_never_make_it_worse(
    a: float, b: float, c: float, d: float, context: int
) -> None:
    poor = model_fit(machine(min(a, b), min(c, d)), "qwen3-8b").at(context)
    rich = model_fit(machine(max(a, b), max(c, d)), "qwen3-8b").at(context)
    assert ORDER.index(rich.fit) <= ORDER.index(poor.fit)


def test_each_measured_speed_decides_its_part() -> None:
    fit = model_fit(machine(), "qwen3-4b")

    def changed(**speed: float) -> ModelFit:
        changed_speeds = msgspec.structs.replace(fit.machine.speeds, **speed)
        return replace(fit, machine=replace(fit.machine, speeds=changed_speeds))

    known = fit.machine.speeds
    assert changed(bandwidth=1000 * GB).write_speed(512) == fit.write_speed(512)
    assert changed(token_rate=2 * known.token_rate).write_speed(512) > 1.8 * fit.write_speed(512)
    # What each token before costs is attention's.
    cost = 1 / fit.write_speed(8192) - 1 / fit.write_speed(4096)
    quick = changed(token_attention_rate=2 * known.token_attention_rate, bandwidth=1000 * GB)
    assert 1 / quick.write_speed(8192) - 1 / quick.write_speed(4096) == pytest.approx(cost / 2)
    any_chunk = {"prompt_half": 0, "prompt_attention_half": 0}
    fit = changed(**any_chunk)
    fit = replace(fit, weights=replace(fit.weights, head=0))
    # Of a short prompt's time, most goes to its products.
    saved = 1 / fit.read_speed(16) - 1 / changed(**any_chunk, prompt_rate=2 * known.prompt_rate).read_speed(
        16
    )
    assert saved == pytest.approx(fit.weights.products / known.prompt_rate)
    cost = 1 / fit.read_speed(8192) - 1 / fit.read_speed(4096)
    quick = changed(**any_chunk, prompt_attention_rate=2 * known.prompt_attention_rate)
    assert 1 / quick.read_speed(8192) - 1 / quick.read_speed(4096) == pytest.approx(cost / 2)


def test_a_machine_that_is_slow_reads_short_chunks_and_they_cost() -> None:
    fit = model_fit(machine(compute=50 * GB), "qwen3-4b")
    known = fit.machine.speeds
    halves = (0, known.prompt_half, 2 * known.prompt_half)
    speeds = [
        replace(
            fit,
            machine=replace(fit.machine, speeds=msgspec.structs.replace(known, prompt_half=half)),
        ).read_speed(16)
        for half in halves
    ]
    products = 2 * fit.weights.products / known.prompt_rate
    assert [1 / speed - 1 / speeds[0] for speed in speeds] == pytest.approx(
        [products * half / 16 for half in halves]
    )


def test_with_few_heads_to_a_key_memory_decides_what_attention_costs() -> None:
    fit = model_fit(machine(), "qwen3-4b")
    equal = replace(fit, shape=replace_shape(fit.shape, kv_heads=fit.shape.heads))
    cost = 1 / equal.write_speed(8192) - 1 / equal.write_speed(4096)
    slower = msgspec.structs.replace(fit.machine.speeds, bandwidth=fit.machine.speeds.bandwidth / 2)
    equal = replace(equal, machine=replace(fit.machine, speeds=slower))
    assert 1 / equal.write_speed(8192) - 1 / equal.write_speed(4096) == pytest.approx(2 * cost)


def test_a_gguf_file_of_floats_is_read_and_not_unpacked() -> None:
    assert Weights.of_gguf(SHAPE, SHAPE.parameters // 2).floats == 0
    floats = Weights.of_gguf(SHAPE, 2 * SHAPE.parameters)
    assert floats.floats == floats.read > 0


def test_floats_are_read_and_not_unpacked() -> None:
    fit = model_fit(machine(), precision=Precision(bits=16))
    assert fit.weights.floats == fit.weights.read
    slow = replace(fit.machine, speeds=msgspec.structs.replace(fit.machine.speeds, token_rate=1e9))
    assert replace(fit, machine=slow).write_speed(512) == fit.write_speed(512)
    assert model_fit(machine()).weights.floats == 0


@given(st.integers(min_value=1, max_value=200_000), st.integers(min_value=1, max_value=200_000))
def test_a_longer_conversation_takes_more_and_is_slower(a: int, b: int) -> None:
    fit = model_fit(machine())
    short, long = fit.at(min(a, b)), fit.at(max(a, b))
    assert short.memory.kv <= long.memory.kv
    assert short.write_speed >= long.write_speed
    assert long.context <= SHAPE.context


def test_packed_weights_are_no_private_memory() -> None:
    plain, packed = model_fit(machine()).memory(2048), model_fit(machine(), is_packed=True).memory(2048)
    assert packed.weights == plain.weights
    assert packed.private < plain.private / 2


def test_a_gguf_file_counts_once_and_its_context_from_the_start() -> None:
    weights = Weights.of_gguf(SHAPE, GB)
    assert (weights.disk, weights.loaded + weights.mapped) == (GB, GB)
    assert weights.read == GB  # the head is the embedding
    disk = Disk(download=0, model=GB)
    fit = ModelFit(SHAPE, weights, machine(), disk, kv_type="float16", reserved_context=4096, format=GGUF)
    short, long = fit.memory(512), fit.memory(8192)
    assert short.kv == 4096 * 2 * 28 * 2 * 128 * 2
    assert long.kv == 2 * short.kv
    # Measured: 988 MB for a file of 875 MB of this shape, without keys and values.
    measured = replace(fit, weights=Weights.of_gguf(SHAPE, 874_785_952)).memory(512)
    assert measured.private - measured.kv == pytest.approx(988e6, rel=0.03)


def gguf_shape(folder: Path, **changes: int) -> ModelShape:
    keys = llama_keys() | {"llama.feed_forward_length": number(128)}
    keys |= {name.replace("__", "."): number(value) for name, value in changes.items()}
    tensors = [("token_embd.weight", (64, 3), 1, 0), ("blk.0.all", (64, 1000), 1, 384)]
    file = folder / "m.gguf"
    file.write_bytes(gguf(keys, tensors, data=384 + 128_000))
    return ModelShape.of_gguf(read_gguf(file))


def test_the_header_of_a_gguf_file_has_the_shape(tmp_path: Path) -> None:
    shape = gguf_shape(tmp_path)
    assert (shape.layers, shape.hidden_size, shape.intermediate_size) == (2, 64, 128)
    assert (shape.heads, shape.kv_heads, shape.head_size) == (4, 2, 16)
    assert (shape.vocab_size, shape.context, shape.tied) == (3, 128, True)
    experts = gguf_shape(tmp_path, llama__expert_count=2, llama__expert_used_count=1)
    assert (experts.experts, experts.experts_used, experts.expert_size) == (2, 1, 128)
    assert experts.intermediate_size == 0


@pytest.mark.parametrize(
    "name", ["block_count", "context_length", "attention__head_count_kv", "expert_count"]
)
def test_a_header_that_claims_more_than_the_file_has_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelFileInvalid) as refused:
        gguf_shape(tmp_path, **{f"llama__{name}": 2**31})
    assert "\n" not in str(refused.value)
    if name != "context_length":
        with pytest.raises(ModelFileInvalid, match="cannot be"):
            gguf_shape(tmp_path, **{f"llama__{name}": 1000})


def test_a_header_that_leaves_out_what_decides_is_no_estimate(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="heads"):
        gguf_shape(tmp_path, llama__attention__head_count=0)


@pytest.mark.parametrize("config", [{}, {"hidden_size": "x"}, {"hidden_size": True}, {"hidden_size": -1}])
def test_a_config_that_describes_no_model_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(ModelFileInvalid):
        ModelShape.of_config({"num_attention_heads": 4, **config})


def test_contexts_end_where_the_model_ends() -> None:
    assert contexts_up_to(4096) == [2048, 4096]
    assert contexts_up_to(100_000, [8192, 512]) == [512, 8192]


@pytest.mark.parametrize(
    ("size", "text"), [(17 << 30, "17 GB"), (1 << 30, "1 GB"), (300 << 20, "300 MB"), (2048, "2 kB")]
)
def test_memory_is_told_as_it_is_sold(size: int, text: str) -> None:
    assert memory_text(size) == text


def test_what_models_have_shown_corrects_the_next_estimate() -> None:
    seen = Experience(machine="m").with_shown(Shown(model="a", name="a", write=0.5, working_bytes=10**8))
    assert seen.correction("a") == seen.correction("b") == Correction(0.5, 1.0, 10**8)
    seen = seen.with_shown(Shown(model="c", name="c", write=0.7, read=2.0))
    assert seen.correction("b").write == pytest.approx(0.6)
    assert seen.correction("c") == Correction(0.7, 2.0, 0)
    seen = seen.with_shown(Shown(model="c", name="c", write=1e-5))
    assert seen.correction("c").write == 1.0, "a machine that slept is no slow machine"
    plain = model_fit(machine())
    corrected = plain.corrected(Correction(0.5, 1.0, 10**8), is_packed=False)
    assert corrected.write_speed(512) == pytest.approx(plain.write_speed(512) / 2)
    assert corrected.memory(512).private == plain.memory(512).private + 10**8


def test_formats_are_expected_to_be_equally_fast_until_both_have_run() -> None:
    seen = Experience(machine="m").with_shown(Shown(model="a", name="a", write=0.8, working_bytes=10**8))
    assert seen.correction(form=GGUF) == Correction(0.8, 1.0, 0)
    assert (seen.knows(GENAI), seen.knows(GGUF)) == (True, False)
    seen = seen.with_shown(Shown(model="b", name="b", format=GGUF, write=1.2))
    assert seen.knows(GGUF)
    assert seen.correction(form=GGUF).write == 1.2
    assert seen.correction().write == 0.8


METAL = "Darwin 25.0 arm64"


@pytest.mark.parametrize(
    ("shown", "system", "form", "words"),
    [
        ({}, "Linux 6 x86_64", GENAI, "Nothing has run here in both formats"),
        ({GENAI: 1.0}, "Linux 6 x86_64", GENAI, "Nothing has run here in both formats"),
        ({}, METAL, GENAI, "measure the same model in both formats"),
        ({GENAI: 1.0, GGUF: 1.5}, METAL, GGUF, "1.5 times as fast in GGUF as in ONNX"),
        ({GENAI: 1.0, GGUF: 1.05}, METAL, GENAI, "about as fast"),
        ({GENAI: 1.0, GGUF: 0.5}, METAL, GENAI, "2.0 times as fast in ONNX as in GGUF"),
    ],
)
def test_the_format_is_chosen_by_what_was_measured(
    shown: dict[str, float], system: str, form: str, words: str
) -> None:
    experience = Experience(machine="m", measured=(speeds(4e10),))
    for known, factor in shown.items():
        experience = experience.with_shown(Shown(model=known, name=known, format=known, write=factor))
    advice = best_format(*formats(experience, system))
    assert advice.format == form
    assert words in str(advice.reason)
    assert advice.is_measured == (len(shown) == 2)


def test_the_format_that_fits_is_better_than_the_one_that_does_not() -> None:
    fits, onnx, as_gguf = formats(Experience(machine="m"), METAL)
    small = replace(fits.spec, memory_bytes=3 << 30)
    advice = best_format(fits, replace(onnx, machine=small), as_gguf)
    assert (advice.format, str(advice.reason)) == (GGUF, "It fits this machine in GGUF only.")
    advice = best_format(fits, onnx, replace(as_gguf, machine=small))
    assert (advice.format, str(advice.reason)) == (GENAI, "It fits this machine in ONNX only.")


def test_damaged_experience_counts_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "experience.json"
    write_experience(file, Experience(machine="m").with_shown(Shown(model="a", name="a", write=2.0)))
    whole = file.read_bytes()
    assert read_experience(file, "m").models
    for damaged in (whole[:-9], b"", whole.replace(b'"m"', b'"\xff"')):
        assert damaged != whole
        file.write_bytes(damaged)
        assert read_experience(file, "m") == Experience(machine="m")


def formats(experience: Experience, system: str) -> tuple[Fits, ModelFit, ModelFit]:
    """A machine with this experience, and two forms of a model that are alike but for their formats."""
    computer = Machine(system, "cpu", (), 8, 8, 16 << 30, 16 << 30)
    options = EngineOptions(threads=8, kv_cache_bytes=4 << 30, memory_bytes=16 << 30)
    fits = Fits.of_options(options, computer, experience)
    onnx = fits.of_catalogue(find_in_catalogue("qwen2.5-1.5b"))["balanced"]
    plain = replace(onnx, correction=experience.correction())
    return fits, plain, replace(plain, correction=experience.correction(form=GGUF), format=GGUF)


def test_another_measurement_of_the_machine_leaves_models_as_fast_as_they_were() -> None:
    shown = Shown(model="a", name="a", write=4.0, read=2.0)
    busy = Experience(machine="m", measured=(speeds(1e10, 1e11),)).with_shown(shown)
    quiet = busy.with_speeds(speeds(3e10, 1e11))
    assert quiet.speeds == speeds(2e10, 1e11)
    assert quiet.correction("a") == Correction(2.0, 2.0, 0)


def test_one_measurement_on_a_busy_machine_does_not_decide() -> None:
    experience = Experience(machine="m")
    for bandwidth in (2e10, 1e9, 2e10):
        experience = experience.with_speeds(speeds(bandwidth))
    assert experience.speeds == speeds(2e10)


def test_experience_is_kept_for_one_machine(tmp_path: Path) -> None:
    file = tmp_path / "home" / "fit.json"
    assert read_experience(file, "m") == Experience(machine="m")
    kept = Experience(machine="m", measured=(speeds(1e10),)).with_shown(Shown(model="a", name="a", write=0.5))
    write_experience(file, kept)
    assert read_experience(file, "m") == kept
    assert read_experience(file, "another") == Experience(machine="another")
    file.write_text("{", "utf-8")
    assert read_experience(file, "m") == Experience(machine="m")


def replace_shape(shape: ModelShape, **changes: object) -> ModelShape:
    return msgspec.structs.replace(shape, **changes)
