"""What `config.json` says in its older form, leaves out, or says in error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from golden_checkpoint import FOLDER, NAMES
from hearth.errors import ArchitectureUnsupported, ModelFileInvalid, ModelUnsupported
from hearth.quantize.architectures.registry import ARCHITECTURES, describe
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.stored_tensor import StoredTensor
from hearth.quantize.decoder import Decoder

CONTEXTS = ("original", "long")
LONG_ROPE = ("short_factor", "long_factor")
# By name: settings of today's form that the older one lacks, and those that it has in their place.
OLDER: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "llama2": ((), {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "llama3": (
        (),
        {
            "rope_theta": 500.0,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "mistral": ((), {"rope_theta": 1000.0}),
    "qwen2": (("layer_types",), {"rope_theta": 10000.0, "rope_scaling": None}),
    "qwen2_5": (
        ("layer_types",),
        {
            "rope_theta": 1000.0,
            "rope_scaling": {
                "type": "yarn",
                "factor": 4.0,
                "beta_fast": 8.0,
                "original_max_position_embeddings": 64,
            },
        },
    ),
    "phi3": ((), {"rope_theta": 1000.0, "rope_scaling": None}),
    "gemma2": (("layer_types",), {"rope_theta": 1000.0}),
    "gemma3": (
        ("layer_types",),
        {
            "rope_theta": 10000.0,
            "rope_local_base_freq": 100.0,
            "rope_scaling": {"rope_type": "linear", "factor": 4.0},
            "sliding_window_pattern": 3,
        },
    ),
    "smollm3": (("layer_types",), {"rope_theta": 2000000.0}),
    "olmo2": ((), {"rope_theta": 1000.0}),
}


def opened(name: str) -> Checkpoint:
    return Checkpoint.open(FOLDER / name)


def changed(checkpoint: Checkpoint, **settings: Any) -> Checkpoint:
    return replace(checkpoint, config={**checkpoint.config, **settings})


@pytest.mark.parametrize("name", OLDER)
def test_the_older_form_of_a_configuration_means_the_same(name: str) -> None:
    checkpoint = opened(name)
    lacking, having = OLDER[name]
    config = {
        key: value for key, value in checkpoint.config.items() if key not in ("rope_parameters", *lacking)
    }
    assert describe(replace(checkpoint, config={**config, **having})) == describe(checkpoint)


@pytest.mark.parametrize("kind", ["su", "yarn", "longrope"])
@pytest.mark.parametrize("name", ["phi3_beyond", "phi4_mini"])
def test_long_rope_has_had_other_names(name: str, kind: str) -> None:
    checkpoint = opened(name)
    today = checkpoint.config["rope_parameters"]
    config = {key: value for key, value in checkpoint.config.items() if key != "rope_parameters"}
    config["rope_theta"] = today["rope_theta"]
    config["partial_rotary_factor"] = today.get("partial_rotary_factor", 1.0)
    config["rope_scaling"] = {"type": kind, **{key: today[key] for key in LONG_ROPE}}
    for context in CONTEXTS:
        assert describe(replace(checkpoint, config=config), context) == describe(checkpoint, context)


@pytest.mark.parametrize(
    ("context", "factors", "length"), [("original", "short_factor", 64), ("long", "long_factor", 256)]
)
def test_long_rope_has_one_set_of_frequencies_for_the_length_that_is_chosen(
    context: str, factors: str, length: int
) -> None:
    checkpoint = opened("phi4_mini")
    decoder = describe(checkpoint, context)
    (rope,) = {layer.attention.rope for layer in decoder.layers}
    assert rope is not None
    assert (decoder.context_length, rope.long) == (length, None)
    pairs = len(rope.inverse_frequencies)
    expected = [
        10000 ** (-place / pairs) / factor
        for place, factor in enumerate(checkpoint.config["rope_parameters"][factors])
    ]
    assert rope.inverse_frequencies == pytest.approx(expected)
    # The same for both: it comes from the whole length, 256, over the original one.
    assert rope.attention_factor == pytest.approx(math.sqrt(1 + math.log(4) / math.log(64)))


@pytest.mark.parametrize("name", ["llama3", "phi3_beyond", "phi4_mini"])
def test_the_original_length_beside_the_parameters_comes_before_one_among_them(name: str) -> None:
    # As transformers 5 does it (`standardize_rope_params`), for these kinds of positions.
    checkpoint = opened(name)
    parameters = {**checkpoint.config["rope_parameters"], "original_max_position_embeddings": 32}
    both = changed(checkpoint, rope_parameters=parameters, original_max_position_embeddings=64)
    inside = {**parameters, "original_max_position_embeddings": 64}
    for context in CONTEXTS:
        expected = describe(changed(both, rope_parameters=inside), context)
        assert describe(both, context) == expected
        assert describe(changed(both, original_max_position_embeddings=32), context) != expected


def test_phi3_that_says_no_original_length_beside_the_parameters_was_trained_on_4096() -> None:
    checkpoint = opened("phi4_mini")
    config = {
        key: value for key, value in checkpoint.config.items() if key != "original_max_position_embeddings"
    }
    config["rope_parameters"] = {**config["rope_parameters"], "original_max_position_embeddings": 32}
    short, long = (describe(replace(checkpoint, config=config), context) for context in CONTEXTS)
    assert short == long
    assert short.context_length == 256


def test_only_long_rope_leaves_a_choice_of_length() -> None:
    for name in NAMES:
        has_choice = "long_factor" in opened(name).config.get("rope_parameters", {})
        short, long = (describe(opened(name), context) for context in CONTEXTS)
        assert (short != long) is has_choice


def test_long_rope_that_was_not_stretched_leaves_none() -> None:
    checkpoint = changed(opened("phi4_mini"), max_position_embeddings=64)
    short, long = (describe(checkpoint, context) for context in CONTEXTS)
    assert short == long


def test_what_gemma_3_leaves_out_is_as_in_its_smallest_size_that_sees() -> None:
    embedding = StoredTensor(Path("model"), "model.embed_tokens.weight", "BF16", (262208, 2560), 0)
    config = {
        "model_type": "gemma3_text",
        "hidden_size": 2560,
        "intermediate_size": 10240,
        "num_hidden_layers": 34,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "sliding_window": 1024,
    }
    tensors = {f"model.layers.{number}.": embedding for number in range(34)} | {embedding.name: embedding}
    decoder = describe(Checkpoint(Path("gemma"), config, dict(tensors)))
    attention = decoder.layers[0].attention
    assert (attention.heads, attention.kv_heads, attention.head_dim) == (8, 4, 256)
    assert (decoder.context_length, decoder.head.weight, decoder.head.softcap) == (131072, None, 0)
    assert windows(decoder)[:6] == [1024] * 5 + [0]
    first_local, first_global = (decoder.layers[number].attention.rope for number in (0, 5))
    assert first_local is not None
    assert first_global is not None
    assert first_local.inverse_frequencies[0] == 1
    assert first_global.inverse_frequencies[0] == pytest.approx(1 / 8)
    assert first_local.inverse_frequencies[-1] == pytest.approx(10000 ** (-254 / 256))
    assert first_global.inverse_frequencies[-1] == pytest.approx(1e6 ** (-254 / 256) / 8)


@pytest.mark.parametrize(
    ("name", "lacking", "having"),
    [
        ("phi3", "rms_norm_eps", 1e-5),
        ("olmo2", "rms_norm_eps", 1e-5),
        ("llama3", "rms_norm_eps", 1e-6),
        ("mistral", "sliding_window", 4096),
        ("qwen2", "sliding_window", 4096),
        ("qwen2", "max_window_layers", 28),
        ("qwen3", "sliding_window", 4096),
        ("qwen3", "head_dim", 128),
        ("qwen3_moe", "sliding_window", 4096),
    ],
)
def test_what_a_configuration_leaves_out_is_as_in_transformers(
    name: str, lacking: str, having: object
) -> None:
    checkpoint = changed(
        opened(name), max_position_embeddings=1 << 15, use_sliding_window=True, layer_types=None
    )
    without = {key: value for key, value in checkpoint.config.items() if key != lacking}
    assert describe(replace(checkpoint, config=without)) == describe(changed(checkpoint, **{lacking: having}))


def windows(decoder: Decoder) -> list[int]:
    return [layer.attention.window for layer in decoder.layers]


def test_a_window_as_wide_as_the_context_is_none() -> None:
    assert windows(describe(changed(opened("phi3"), sliding_window=262144))) == [0, 0, 0]


def test_a_window_of_nothing_is_none() -> None:
    assert not any(windows(describe(changed(opened("mistral"), sliding_window=-1))))


def test_a_window_that_is_switched_off_is_none() -> None:
    assert windows(describe(changed(opened("qwen2"), use_sliding_window=False))) == [0, 0, 0]


def test_every_fourth_layer_of_smollm3_has_no_positions_unless_it_says_otherwise() -> None:
    checkpoint = changed(opened("smollm3"), no_rope_layers=None, num_hidden_layers=8)
    ropes = [layer.attention.rope is None for layer in describe(checkpoint).layers]
    assert ropes == [False, False, False, True] * 2


def test_every_architecture_has_a_golden_checkpoint() -> None:
    kinds = {str(opened(name).model_type) for name in NAMES}
    assert kinds | {"gemma3"} == set(ARCHITECTURES)  # "gemma3" is around "gemma3_text"


def test_an_unknown_kind_names_the_nearest_known_one_and_what_is_missing() -> None:
    other = changed(opened("llama2"), model_type="qwen3_next")
    with pytest.raises(ArchitectureUnsupported) as caught:
        describe(other)
    reason = caught.value.params["reason"]
    assert "“qwen3_next”; the nearest is “qwen3_moe”" in reason
    assert "it has no tensor “model.layers.0.mlp.experts.0.gate_proj.weight”" in reason
    with pytest.raises(ArchitectureUnsupported, match="nearest is “llama”\\."):
        describe(changed(opened("llama2"), model_type="llama_of_mine"))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama2", {"model_type": "mamba"}),
        ("llama2", {"hidden_act": "relu6"}),
        ("llama2", {"rope_parameters": {"rope_type": "unheard"}}),
        ("gemma3", {"use_bidirectional_attention": True}),
    ],
)
def test_what_is_not_known_is_refused(name: str, settings: Mapping[str, Any]) -> None:
    with pytest.raises(ModelUnsupported):
        describe(changed(opened(name), **settings))


# A factor for all frequencies, where each has its own.
LONGROPE_OF_ONE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1], "long_factor": [1]}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama2", {"rope_parameters": [1]}),
        ("llama2", {"rope_parameters": {"rope_type": "linear", "factor": "much"}}),
        ("llama2", {"hidden_size": None, "head_dim": None}),
        ("mistral", {"sliding_window": "wide"}),
        ("mistral", {"layer_types": "sliding_attention"}),
        ("gemma3", {"rope_parameters": {"sliding_attention": 3}}),
        ("gemma3", {"sliding_window_pattern": 0, "layer_types": None}),
        ("smollm3", {"no_rope_layer_interval": 0, "no_rope_layers": None}),
        ("qwen3_moe", {"decoder_sparse_step": 0}),
        ("qwen3_moe", {"num_experts": "many"}),
        ("qwen3_moe", {"num_experts_per_tok": 5}),
        ("qwen3_moe", {"num_experts": 1 << 23}),
        ("llama2", {"num_hidden_layers": 0}),
        ("llama2", {"num_hidden_layers": 1 << 60}),
        ("llama2", {"num_hidden_layers": 2.5}),
        ("llama2", {"head_dim": 1 << 40}),
        ("llama2", {"max_position_embeddings": 1 << 40}),
        ("llama2", {"num_key_value_heads": 0}),
        ("llama2", {"num_attention_heads": 3, "num_key_value_heads": 2}),
        ("llama2", {"rope_parameters": {"rope_theta": 0}}),
        ("llama2", {"rope_parameters": {"rope_theta": -1}}),
        ("llama2", {"rope_parameters": {"rope_type": "linear", "factor": 0}}),
        ("granite", {"logits_scaling": 0}),
        ("phi3", {"num_attention_heads": 0, "head_dim": None}),
        ("gemma2", {"query_pre_attn_scalar": 0}),
        ("gemma2", {"query_pre_attn_scalar": -256}),
        ("gemma2", {"final_logit_softcapping": -30}),
        ("granite", {"embedding_multiplier": 1e30}),
        ("llama2", {"rms_norm_eps": -1}),
        ("llama2", {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 1e9}}),
        ("llama2", {"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": -1}}),
        ("phi3_beyond", {"rope_parameters": LONGROPE_OF_ONE}),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error_of_the_file(
    name: str, settings: Mapping[str, Any]
) -> None:
    with pytest.raises(ModelFileInvalid):
        describe(changed(opened(name), **settings))
