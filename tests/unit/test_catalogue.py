"""The catalogue: every entry fits its schema, agrees with itself, and can be built or run here."""

from __future__ import annotations

import pytest

from hearth.i18n import LANGUAGES, use_language
from hearth.models.catalogue import (
    USES,
    CatalogueEntry,
    ModelNotInCatalogue,
    catalogue,
    find_in_catalogue,
)
from hearth.models.names import check_name
from hearth.models.shape import ModelShape
from hearth.models.weights import checkpoint_bytes
from hearth.quantize.architectures.registry import ARCHITECTURES

ENTRIES = catalogue()
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)

# Parts of a checkpoint that the text model leaves out, such as those that see, in bytes.
BESIDE_TEXT = 1_500_000_000


def test_there_is_a_choice_for_every_use_and_each_entry_once() -> None:
    assert len(ENTRIES) >= 30
    for key in ("id", "name", "repository"):
        values = [getattr(entry, key).lower() for entry in ENTRIES]
        assert len(set(values)) == len(values), key
    for use in USES:
        assert sum(use in entry.uses for entry in ENTRIES) >= 3, use


@each
def test_its_numbers_agree_with_each_other(entry: CatalogueEntry) -> None:
    shape = entry.shape
    assert shape.parameters == pytest.approx(entry.parameters, rel=0.001)
    whole = checkpoint_bytes(shape)
    assert (
        0.99 * whole
        <= entry.checkpoint_bytes
        <= 1.01 * whole + BESIDE_TEXT * (shape.architecture == "gemma3")
    )
    assert shape.heads % shape.kv_heads == 0
    assert shape.head_size % 16 == 0, "attention on the processor needs that"
    assert (shape.experts > 0) == (shape.experts_used > 0) == (shape.expert_size > 0)
    for form in (*entry.gguf, *entry.genai):
        assert 0.4 * entry.parameters < form.bytes < 1.4 * entry.parameters


@each
def test_it_can_be_built_here_and_says_what_it_is(entry: CatalogueEntry) -> None:
    assert entry.shape.architecture in ARCHITECTURES or entry.gguf
    assert set(entry.uses) <= USES.keys()
    assert entry.good_at.keys() == LANGUAGES.keys()
    assert all(text.endswith((".", "。")) for text in entry.good_at.values())
    is_spdx = entry.licence in ("Apache-2.0", "MIT")
    assert is_spdx or entry.licence_url.startswith("https://")
    check_name(entry.id)


def test_it_is_found_by_id_and_by_repository() -> None:
    entry = find_in_catalogue("Qwen3-4B")
    assert find_in_catalogue("qwen/qwen3-4b") is entry
    assert entry.shape.context == 40960
    with pytest.raises(ModelNotInCatalogue, match="no model “qwen5”"):
        find_in_catalogue("qwen5")


def test_what_it_is_good_at_is_told_in_the_readers_language() -> None:
    entry = find_in_catalogue("qwen3-4b")
    assert entry.good_at_text == entry.good_at["en"]
    use_language("zh")
    assert entry.good_at_text == entry.good_at["zh"]


@each
def test_config_json_gives_the_same_shape(entry: CatalogueEntry) -> None:
    """As `config.json` of such a checkpoint says it, what it may leave out being left out."""
    shape = entry.shape
    config = {
        "max_position_embeddings": shape.context,
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "vocab_size": shape.vocab_size,
        "tie_word_embeddings": shape.tied,
        "head_dim": shape.head_size,
    }
    if shape.experts:
        config |= {
            "num_experts": shape.experts,
            "num_experts_per_tok": shape.experts_used,
            "moe_intermediate_size": shape.expert_size,
        }
    if shape.hidden_size == shape.heads * shape.head_size:
        del config["head_dim"]
    if shape.architecture == "gemma3":
        del config["tie_word_embeddings"], config["max_position_embeddings"]
        config = {"model_type": "gemma3", "text_config": {**config, "model_type": "gemma3_text"}}
    else:
        config["model_type"] = shape.architecture
    assert ModelShape.of_config(config) == shape
