"""What the hub has of a model, and how it would fit: forms, gates, and repositories that are not as they should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hearth.config import Config
from hearth.errors import (
    HubBusy,
    HubUnreachable,
    RepositoryGated,
    RepositoryNotFound,
    RepositoryUnfit,
)
from hearth.models.catalogue import CatalogueEntry, find_in_catalogue
from hearth.models.hub.choices import Format
from hearth.models.hub.patience import Patience
from hearth.services.hub import look, read_config, refusal
from hearth.services.model_advice import forms_of, judge_forms, search
from hearth.services.model_fit import Fits
from hearth.services.model_forms import AS_IT_IS, OFFERED_RECIPES
from hub_repositories import noise, sized_gguf
from hub_server import Fault, HubRepository, HubServer
from machine_speeds import speeds

ENTRY = find_in_catalogue("smollm2-360m")
QWEN = b"""{"model_type": "qwen2", "hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2,
    "num_hidden_layers": 24, "intermediate_size": 4864, "vocab_size": 151936, "max_position_embeddings": 32768}"""
WEIGHTS = {"model.safetensors": noise(3000), "tokenizer.json": b"{}"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    repositories = {
        ENTRY.repository: HubRepository({"config.json": b"{}", **WEIGHTS}, {"model_type": "llama"}),
        ENTRY.gguf[0].repository: HubRepository({"small-q8_0.gguf": sized_gguf(5000)}),
        "org/Qwen": HubRepository({"config.json": QWEN, **WEIGHTS}, {"model_type": "qwen2"}),
        "org/Odd": HubRepository({"config.json": b"[" * 5000, **WEIGHTS}, {"model_type": "qwen2"}),
        "org/Gated": HubRepository({"config.json": QWEN, **WEIGHTS}, {"model_type": "qwen2"}, gated=True),
        "org/Nothing": HubRepository({"README.md": b"Hi"}),
    }
    with HubServer(repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        monkeypatch.delenv("HEARTH_OFFLINE", raising=False)
        monkeypatch.delenv("HEARTH_HUB_TOKEN", raising=False)
        patience = Patience(first_seconds=0.001, longest_seconds=0.001)
        monkeypatch.setattr("hearth.models.hub.client.PATIENCE", patience)
        yield server


@pytest.fixture(scope="module")
def fits() -> Fits:
    return Fits.open(Config(), measured=False)


def test_a_model_of_the_catalogue_has_all_its_forms(server: HubServer, fits: Fits) -> None:
    forms = forms_of(ENTRY, fits, {"smollm2-360m"})
    assert [form.choice.format for form in forms.forms] == [Format.CHECKPOINT, Format.GGUF]
    ours, other = forms.forms
    assert tuple(ours.fits) == OFFERED_RECIPES
    assert tuple(other.fits) == (AS_IT_IS,)
    assert (forms.title, forms.name, forms.licence) == (ENTRY.name, "smollm2-360m-2", "Apache-2.0")
    assert (forms.advised, forms.recipe) == (ours, "balanced")
    assert forms.page == f"{server.endpoint}/{ENTRY.repository}"


def test_a_licence_that_is_no_name_is_cut(server: HubServer, fits: Fits) -> None:
    server.repositories["org/Qwen"].licence = "one\ntwo " + "x" * 10_000
    forms = forms_of("org/Qwen", fits, ())
    assert forms.licence.startswith("one two xxx")
    assert len(forms.licence) == 100


def test_a_form_that_is_gone_is_left_out(server: HubServer, fits: Fits) -> None:
    server.repositories.pop(ENTRY.repository)
    forms = forms_of(ENTRY, fits, ())
    assert [form.choice.name for form in forms.forms] == ["small-q8_0.gguf"]
    server.repositories.pop(ENTRY.gguf[0].repository)
    with pytest.raises(RepositoryNotFound):
        forms_of(ENTRY, fits, ())


def test_a_form_of_the_catalogue_is_known_by_its_repository_too(server: HubServer, fits: Fits) -> None:
    forms = forms_of(ENTRY.gguf[0].repository.lower(), fits, ())
    assert forms.entry is ENTRY
    assert forms.forms[0].fits[AS_IT_IS].shape == ENTRY.shape


def test_any_other_is_estimated_by_its_own_description(server: HubServer, fits: Fits) -> None:
    forms = forms_of("org/Qwen", fits, ())
    fit = forms.forms[0].fits["balanced"]
    assert (fit.shape.layers, fit.shape.context) == (24, 32768)
    assert (forms.entry, forms.name, forms.licence) == (None, "qwen", "apache-2.0")
    assert (
        forms_of("org/Odd", fits, ()).forms[0].fits == {}
    )  # and that of one that makes no sense is not known
    with pytest.raises(RepositoryUnfit):
        forms_of("org/Nothing", fits, ())


@pytest.mark.parametrize("source", [ENTRY, "org/Qwen", "org/Odd"])
def test_judged_anew_they_are_as_if_the_hub_were_asked_again(
    server: HubServer, fits: Fits, source: CatalogueEntry | str
) -> None:
    before = forms_of(source, fits, ())
    known = replace(fits, spec=replace(fits.spec, speeds=speeds(2e9)), is_measured=True)
    after = forms_of(source, known, ())
    assert judge_forms(before, known) == after != before


def test_who_may_not_have_a_model_is_told_before_it_is_fetched(server: HubServer, fits: Fits) -> None:
    forms = forms_of("org/Gated", fits, ())
    assert isinstance(forms.advised.refusal, RepositoryGated)
    assert refusal(look("org/Qwen").repository) is None
    server.repositories["org/Gated"].accepted.add("good")
    server.tokens["good"] = "me"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEARTH_HUB_TOKEN", "good")
        forms = forms_of("org/Gated", fits, ())
    assert forms.advised.refusal is None
    assert forms.advised.fits


@pytest.mark.parametrize(
    "fault", [Fault(cut=3), Fault(length=7), Fault(status=503), Fault(unsized=True, cut=1)]
)
def test_a_description_that_arrives_in_part_is_asked_for_again(server: HubServer, fault: Fault) -> None:
    repository = look("org/Qwen").repository
    faults = [fault]
    server.fault = lambda kind, path, _start: faults.pop() if "config.json" in path and faults else None
    config = read_config(repository)
    assert config is not None
    assert config["model_type"] == "qwen2"
    assert not faults


def test_a_search_tells_what_is_too_large_for_this_machine(server: HubServer, fits: Fits) -> None:
    found = search("org", fits)
    assert [(one.found.repository, one.is_too_large) for one in found] == [
        ("org/Qwen", False),
        ("org/Odd", False),
        ("org/Gated", False),
    ]
    small = replace(fits, spec=replace(fits.spec, memory_bytes=2 * 10**9 + 700))
    assert [one.is_too_large for one in search("qwen", small)] == [True]  # 3 kB, of which a quarter is left


def test_a_hub_that_is_busy_is_not_waited_for_where_somebody_watches(server: HubServer, fits: Fits) -> None:
    server.fault = lambda _kind, _path, _start: Fault(429, {"Retry-After": "120"})
    with pytest.raises(HubBusy) as caught:
        forms_of(ENTRY, fits, (), wait=pytest.fail)
    assert "120 seconds" in str(caught.value)


def test_a_hub_that_is_away_is_asked_twice_and_no_more(
    server: HubServer, fits: Fits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    waits: list[float] = []
    with pytest.raises(HubUnreachable):
        forms_of(ENTRY, fits, (), wait=waits.append)
    assert len(waits) == 1
