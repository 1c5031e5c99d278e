"""What the wizard advises: to a newcomer of the catalogue, and of the forms that a model can be had in."""

from __future__ import annotations

import pytest

from hearth.engine.host.protocol import EngineOptions
from hearth.errors import RepositoryGated
from hearth.hardware.machine import Machine
from hearth.model_folder.manifest import GENAI, GGUF
from hearth.models.catalogue import find_in_catalogue
from hearth.models.experience import Experience
from hearth.models.fit import Fit, Reason
from hearth.models.hub.choices import Choice, Format
from hearth.models.hub.repository import RemoteFile, Repository, repository_in
from hearth.services.model_advice import advise_form, judge
from hearth.services.model_fit import Fits
from hearth.services.model_formats import FormatAdvice
from hearth.services.model_forms import AS_IT_IS, OFFERED_RECIPES, Form, recommended
from machine_speeds import speeds

FREE = 500 * 10**9
ENTRY = find_in_catalogue("qwen3-4b")
REPOSITORY = Repository(name="org/name", commit="", licence="", gated=False, model_type="", files=())
GATE = RepositoryGated(repository="org/name", page="")


def fits_of(memory: float, bandwidth: float, disk: int = FREE) -> Fits:
    """A machine with so many GB of memory, which reads so many GB of it a second."""
    size = round(memory * 2**30)
    machine = Machine("Linux x86_64", "a processor", ("avx512_vnni",), 16, 16, size, size)
    experience = Experience(measured=(speeds(bandwidth * 1e9, 2e12),))
    return Fits.of_options(
        EngineOptions(threads=16, kv_cache_bytes=4 << 30, memory_bytes=size), machine, experience, disk
    )


def form(fits: Fits, name: str, format_: Format, size: int, *, gated: bool = False) -> Form:
    files = (RemoteFile(name, size, "0" * 64, True),)
    choice = Choice(name=name, format=format_, folder="", files=files)
    known = {AS_IT_IS: fits.of_gguf(ENTRY.shape, size)} if format_ is Format.GGUF else {}
    if format_ is Format.CHECKPOINT:
        known = {recipe: fits.of_checkpoint(ENTRY.shape, recipe, size) for recipe in OFFERED_RECIPES}
    return Form(REPOSITORY, choice, known, GATE if gated else None)


@pytest.mark.parametrize(
    ("memory", "bandwidth", "advised"),
    [
        (8, 40, "qwen3-1.7b"),
        (16, 68, "qwen3-4b-instruct-2507"),
        (16, 120, "qwen3-8b"),
        (64, 100, "qwen3-30b-a3b"),
        (4, 8, "smollm2-360m"),
    ],
)
def test_a_newcomer_is_advised_what_is_quick_on_their_machine(
    memory: float, bandwidth: float, advised: str
) -> None:
    found = recommended(judge(fits_of(memory, bandwidth)))
    assert found is not None
    assert found.id == advised


def test_nothing_is_advised_that_the_disk_cannot_take() -> None:
    judged = judge(fits_of(16, 100, disk=5 * 10**9))
    found = recommended(judged)
    assert found is not None
    assert found.checkpoint_bytes < 5 * 10**9
    assert not next(one for one in judged if one.entry.id == "qwen3-8b").has_room


def test_what_is_slow_is_advised_where_nothing_is_quick_and_nothing_where_nothing_fits() -> None:
    slow = judge(fits_of(8, 1.5))
    assert {one.estimate.fit for one in slow} == {Fit.SLOWLY, Fit.NOT}
    assert recommended(slow) is None


def test_the_original_is_advised_before_what_others_have_made() -> None:
    fits = fits_of(16, 100)
    ours = form(fits, "model.safetensors", Format.CHECKPOINT, 8 * 10**9)
    others = [
        form(fits, f"m-{kind}.gguf", Format.GGUF, size * 10**9)
        for kind, size in (("Q8_0", 4), ("Q4_K_M", 2), ("Q2_K", 1))
    ]
    assert advise_form([*others, ours], FREE, None) == (ours, "balanced")
    assert advise_form(others, FREE, None) == (others[1], AS_IT_IS)
    faster = FormatAdvice(GGUF, Reason("", {}), is_measured=True)
    assert advise_form([ours, *others], FREE, faster) == (others[1], AS_IT_IS)
    assert advise_form([ours, *others], FREE, FormatAdvice(GENAI, Reason("", {}))) == (ours, "balanced")


def test_what_is_refused_or_has_no_room_is_advised_last() -> None:
    fits = fits_of(16, 100)
    ours = form(fits, "model.safetensors", Format.CHECKPOINT, 8 * 10**9)
    gated = form(fits, "model.safetensors", Format.CHECKPOINT, 8 * 10**9, gated=True)
    other = form(fits, "m-Q4_K_M.gguf", Format.GGUF, 2 * 10**9)
    assert advise_form([gated, other], FREE, None) == (other, AS_IT_IS)
    assert advise_form([ours, other], 5 * 10**9, None) == (other, AS_IT_IS)


def test_the_recipe_that_fits_is_advised() -> None:
    fits = fits_of(5, 100)
    ours = form(fits, "model.safetensors", Format.CHECKPOINT, 8 * 10**9)
    found, recipe = advise_form([ours], FREE, None)
    assert found is ours
    ranks = {name: ours.fits[name].at(4096).fit for name in ("balanced", "small")}
    assert recipe == ("small" if ranks["balanced"] is not ranks["small"] else "balanced")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Qwen/Qwen3-4B", "Qwen/Qwen3-4B"),
        (" https://huggingface.co/Qwen/Qwen3-4B/tree/main ", "Qwen/Qwen3-4B"),
        ("huggingface.co/Qwen/Qwen3-4B?x=1", "Qwen/Qwen3-4B"),
        ("https://mirror.example/Qwen/Qwen3-4B", "Qwen/Qwen3-4B"),
        ("https://elsewhere.example/Qwen/Qwen3-4B", None),
        ("https://huggingface.co/Qwen", None),
        ("qwen 4b", None),
        ("../../etc", None),
        ("a/b/c", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_a_repository_is_known_by_its_name_or_its_page(text: str, named: str | None) -> None:
    assert repository_in(text, {"huggingface.co", "mirror.example"}) == named
