"""Models of other apps are found where those apps keep them, and what is hostile among them is left out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from app_layouts import (
    GGUF,
    KIND,
    cached_snapshot,
    jan_model,
    ollama_blob,
    ollama_linked_model,
    ollama_model,
    write,
)
from hearth.models.other_apps.finder import APPS, find_models
from hearth.models.other_apps.found_model import Format, FoundModel
from hearth.models.other_apps.places import Places
from onnx_bytes import write_model_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there that tests lack")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(home=tmp_path, environment={}, system="linux", root=tmp_path / "root")


def found(places: Places) -> dict[str, FoundModel]:
    return {model.reference: model for model in find_models(places)}


def only(places: Places) -> FoundModel:
    (model,) = find_models(places)
    return model


def test_nothing_is_found_where_no_app_is(places: Places) -> None:
    assert find_models(places) == []


def test_ollama(places: Places) -> None:
    store = places.home / ".ollama" / "models"
    ollama_model(
        store,
        "registry.ollama.ai/library/llama3.2/3b",
        system="Be brief.",
        template="{{ .Prompt }}",
        license="\nLLAMA 3.2 COMMUNITY LICENSE\nmore",
        params='{"temperature": 0.2, "repeat_penalty": 1.1, "stop": ["x"], "num_ctx": 8192, "top_p": true}',
    )
    model = only(places)
    assert (model.reference, model.good_name, model.format) == (
        "ollama/llama3.2:3b",
        "llama3.2-3b",
        Format.GGUF,
    )
    assert model.path.parent == store / "blobs"
    assert model.path.read_bytes() == GGUF
    assert (model.bytes, model.licence) == (64, "LLAMA 3.2 COMMUNITY LICENSE")
    assert (model.system_prompt, model.template) == ("Be brief.", "{{ .Prompt }}")
    assert model.sampling == {"temperature": 0.2, "repetition_penalty": 1.1}


def test_ollama_names_leave_out_what_goes_without_saying(places: Places) -> None:
    store = places.home / ".ollama" / "models"
    for number, name in enumerate(
        (
            "registry.ollama.ai/library/phi3/latest",
            "registry.ollama.ai/me/phi3/mini",
            "hf.co/bartowski/Phi-3-GGUF/Q4_K_M",
        )
    ):
        ollama_model(store, name, GGUF + bytes([number]))
    assert {model.name: model.good_name for model in find_models(places)} == {
        "phi3:latest": "phi3",
        "me/phi3:mini": "phi3-mini",
        "hf.co/bartowski/Phi-3-GGUF:Q4_K_M": "phi-3-gguf-q4_k_m",
    }


def test_ollama_in_the_services_folder_and_where_a_variable_says(places: Places, tmp_path: Path) -> None:
    ollama_model(
        tmp_path / "root/usr/share/ollama/.ollama/models", "registry.ollama.ai/library/a/1", GGUF + b"a"
    )
    ollama_model(tmp_path / "elsewhere", "registry.ollama.ai/library/b/1", GGUF + b"b")
    assert [model.name for model in find_models(places)] == ["a:1"]
    named = Places(
        home=tmp_path,
        environment={"OLLAMA_MODELS": str(tmp_path / "elsewhere")},
        system="linux",
        root=tmp_path / "root",
    )
    assert [model.name for model in find_models(named)] == ["b:1", "a:1"]


def test_ollama_with_linked_manifests_for_several_runners(places: Places) -> None:
    ollama_linked_model(places.home / ".ollama" / "models", "registry.ollama.ai/library/new/1")
    assert only(places).name == "new:1"


def test_ollama_leaves_out_what_is_broken_or_hostile(places: Places, tmp_path: Path) -> None:
    store = places.home / ".ollama" / "models"
    library = store / "manifests" / "registry.ollama.ai" / "library"
    outside = write(tmp_path / "secret.gguf")
    write(library / "text" / "1", "no JSON")
    write(library / "deep" / "1", "[" * 100_000)
    write(library / "huge" / "1", b" " * (17 << 20))
    blob = ollama_blob(store, GGUF)
    digests = {
        "climbs": "sha256:../../secret.gguf",
        "short": "sha256:abc",
        "missing": "sha256:" + "0" * 64,
    }
    for name, digest in digests.items():
        layer = {"mediaType": f"{KIND}model", "digest": digest, "size": 64}
        write(library / name / "1", json.dumps({"layers": [layer]}))
    half = {"mediaType": f"{KIND}model", **blob, "size": 65}
    write(library / "half" / "1", json.dumps({"layers": [half]}))
    adapter = {"mediaType": f"{KIND}adapter", **ollama_blob(store, "lora")}
    layers = [{"mediaType": f"{KIND}model", **blob}, adapter]
    write(library / "adapted" / "1", json.dumps({"layers": layers}))
    other = {"mediaType": f"{KIND}model", **ollama_blob(store, b"no gguf")}
    write(library / "other" / "1", json.dumps({"layers": [other]}))
    linked = store / "blobs" / ("sha256-" + "1" * 64)
    linked.symlink_to(outside)
    layer = {"mediaType": f"{KIND}model", "digest": "sha256:" + "1" * 64, "size": 64}
    write(library / "linked" / "1", json.dumps({"layers": [layer]}))
    (library / "led-away").mkdir()
    (library / "led-away" / "1").symlink_to(write(tmp_path / "manifest", json.dumps({"layers": [layers[0]]})))
    ollama_model(store, "registry.ollama.ai/library/\x1b]0;title/1")
    ollama_model(store, "registry.ollama.ai/library/good/1")
    assert [model.name for model in find_models(places)] == ["good:1"]


def test_lm_studio(places: Places) -> None:
    models = places.home / ".lmstudio" / "models" / "bartowski"
    file = write(models / "Qwen2.5-7B-GGUF" / "Qwen2.5-7B-Q4_K_M.gguf")
    write(models / "Qwen2.5-7B-GGUF" / "mmproj-Qwen2.5-7B-f16.gguf")
    write(models / "stray.gguf")
    model = only(places)
    assert model.reference == "lm-studio/bartowski/Qwen2.5-7B-GGUF/Qwen2.5-7B-Q4_K_M.gguf"
    assert (model.path, model.good_name, model.source) == (
        file,
        "qwen2.5-7b-q4_k_m",
        "bartowski/Qwen2.5-7B-GGUF",
    )


def test_lm_studio_where_its_settings_and_its_pointer_say(places: Places, tmp_path: Path) -> None:
    write(tmp_path / ".cache/lm-studio/models/a/b/old.gguf")
    write(tmp_path / "big/a/b/moved.gguf", GGUF + b"1")
    write(tmp_path / "lm/settings.json", json.dumps({"downloadsFolder": str(tmp_path / "big")}))
    write(tmp_path / ".lmstudio-home-pointer", str(tmp_path / "lm"))
    assert [model.good_name for model in find_models(places)] == ["moved", "old"]


def test_jan(places: Places, tmp_path: Path) -> None:
    data = tmp_path / ".local/share/Jan/data"
    file = jan_model(data, "janhq/Jan-v3-4B")
    own = write(tmp_path / "Downloads" / "own-Q8_0.gguf", GGUF + b"own")
    jan_model(data, "imported", model_path=str(own))
    jan_model(data, "climbs", model_path="../../../../../secret.gguf")
    write(tmp_path / "secret.gguf")
    write(data / "llamacpp/models/odd/model.yml", "model_path: [1, 2]")
    write(data / "llamacpp/models/deep/model.yml", "[" * 30_000)
    write(tmp_path / "jan/models/trinity/trinity.Q4.gguf", GGUF + b"old")
    models = found(places)
    assert {reference: model.good_name for reference, model in models.items()} == {
        "jan/janhq/Jan-v3-4B": "jan-v3-4b",
        "jan/imported": "imported",
        "jan/trinity/trinity.Q4.gguf": "trinity.q4",
    }
    assert (models["jan/janhq/Jan-v3-4B"].path, models["jan/imported"].path) == (file, own)


def test_jan_with_references_in_its_file_is_left_out(places: Places, tmp_path: Path) -> None:
    """Each level merges the one before twice: a few more of them would fill the memory."""
    levels = "".join(f"l{n}: &l{n}\n  <<: [*l{n - 1}, *l{n - 1}]\n" for n in range(1, 9))
    bomb = f"jan\nl0: &l0\n  a: b\n{levels}"
    jan_model(tmp_path / ".local/share/Jan/data", "bomb", name=bomb)
    assert find_models(places) == []


def test_jan_with_a_data_folder_of_its_own(places: Places, tmp_path: Path) -> None:
    write(tmp_path / ".local/share/Jan/settings.json", json.dumps({"data_folder": str(tmp_path / "big")}))
    jan_model(tmp_path / "big", "moved")
    assert only(places).name == "moved"


def test_gpt4all(places: Places, tmp_path: Path) -> None:
    write(tmp_path / ".local/share/nomic.ai/GPT4All/Llama-3.Q4_0.gguf")
    write(tmp_path / ".local/share/nomic.ai/GPT4All/incomplete-other.gguf", b"")
    write(tmp_path / "big/mine.gguf", GGUF + b"1")
    write(tmp_path / ".config/nomic.ai/GPT4All.ini", f"[General]\nmodelPath={tmp_path}/big\nx=1\n")
    assert [model.good_name for model in find_models(places)] == ["mine", "llama-3.q4_0"]


def test_hugging_face_cache(places: Places, tmp_path: Path) -> None:
    hub = tmp_path / ".cache" / "huggingface" / "hub"
    gguf = write(tmp_path / "one" / "Phi-Q4.gguf").parent
    write(gguf / "README.md", "---\nlanguage: en\nlicense: mit\n---\ntext")
    cached_snapshot(hub, "org/Phi-GGUF", gguf)
    genai = write_model_folder(tmp_path / "genai")
    cached_snapshot(hub, "org/Phi-onnx", genai, "cpu_and_mobile/cpu-int4")
    checkpoint = write(tmp_path / "two" / "model.safetensors", b"weights").parent
    write(checkpoint / "config.json", json.dumps({"model_type": "qwen2", "hidden_size": 8}))
    cached_snapshot(hub, "Qwen/Qwen2.5-0.5B", checkpoint)
    models = found(places)
    assert {reference: (model.format, model.good_name) for reference, model in models.items()} == {
        "hugging-face/org/Phi-GGUF/Phi-Q4.gguf": (Format.GGUF, "phi-q4"),
        "hugging-face/org/Phi-onnx/cpu_and_mobile/cpu-int4": (
            Format.GENAI,
            "org-phi-onnx-cpu_and_mobile-cpu-int4",
        ),
        "hugging-face/Qwen/Qwen2.5-0.5B": (Format.CHECKPOINT, "qwen2.5-0.5b"),
    }
    phi = models["hugging-face/org/Phi-GGUF/Phi-Q4.gguf"]
    assert (phi.licence, phi.revision[:4], phi.bytes) == ("mit", "0123", 64)
    assert models["hugging-face/Qwen/Qwen2.5-0.5B"].bytes == 7


def test_hugging_face_leaves_out_what_cannot_be_used(places: Places, tmp_path: Path) -> None:
    hub = tmp_path / "hf" / "hub"
    for name, config in {
        "unknown": {"model_type": "bert"},
        "mlx": {"model_type": "llama", "quantization": {"bits": 4}},
        "awq": {"model_type": "llama", "quantization_config": {"quant_method": "awq"}},
        "half": {"model_type": "llama"},
    }.items():
        folder = write(tmp_path / name / "config.json", json.dumps(config)).parent
        if name == "half":
            index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
            write(folder / "model.safetensors.index.json", json.dumps(index))
            write(folder / "model-1.safetensors", b"weights")
        else:
            write(folder / "model.safetensors", b"weights")
        cached_snapshot(hub, f"org/{name}", folder)
    outside = cached_snapshot(hub, "org/hostile", write(tmp_path / "three" / "README.md", "x").parent)
    (outside / "away.gguf").symlink_to(write(tmp_path / "away.gguf"))
    blobs = hub / "models--org--linked" / "blobs"
    blobs.parent.mkdir()
    blobs.symlink_to(tmp_path)
    snapshot = hub / "models--org--linked" / "snapshots" / outside.name
    snapshot.mkdir(parents=True)
    (snapshot / "away.gguf").symlink_to("../../blobs/away.gguf")
    there = Places(
        home=tmp_path, environment={"HF_HOME": str(tmp_path / "hf")}, system="linux", root=tmp_path
    )
    assert find_models(there, {"llama"}.__contains__) == []


def test_a_model_in_several_parts_is_one(places: Places) -> None:
    folder = places.home / ".lmstudio" / "models" / "a" / "b"
    for number in (1, 2):
        write(folder / f"big-0000{number}-of-00002.gguf")
    write(folder / "torn-00001-of-00002.gguf")
    model = only(places)
    assert (model.path.name, model.good_name, model.bytes) == ("big-00001-of-00002.gguf", "big", 128)


def test_a_file_that_two_apps_have_is_found_once(places: Places, tmp_path: Path) -> None:
    file = write(tmp_path / ".lmstudio/models/a/b/one.gguf")
    jan_model(tmp_path / ".local/share/Jan/data", "one", model_path=str(file))
    assert only(places).app == "lm-studio"


def test_a_pipe_in_place_of_a_file_keeps_nobody_waiting(places: Places) -> None:
    folder = places.home / ".lmstudio" / "models" / "a" / "b"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.gguf")
    assert find_models(places) == []


@pytest.mark.parametrize(
    ("system", "environment", "gpt4all", "jan"),
    [
        (
            "darwin",
            {},
            "Library/Application Support/nomic.ai/GPT4All",
            "Library/Application Support/Jan/data",
        ),
        ("win32", {}, "AppData/Local/nomic.ai/GPT4All", "AppData/Roaming/Jan/data"),
        ("linux", {"XDG_DATA_HOME": "~/share"}, "share/nomic.ai/GPT4All", "share/Jan/data"),
    ],
)
def test_each_system_has_its_own_places(
    tmp_path: Path, system: str, environment: dict[str, str], gpt4all: str, jan: str
) -> None:
    write(tmp_path / gpt4all / "a.gguf", GGUF + b"a")
    jan_model(tmp_path / jan, "b")
    there = Places(home=tmp_path, environment=environment, system=system, root=tmp_path)
    assert [model.app for model in find_models(there)] == ["jan", "gpt4all"]


def test_every_app_has_an_id_that_a_reference_can_begin_with() -> None:
    assert len({app.id for app in APPS}) == len(APPS)
    assert all("/" not in app.id for app in APPS)
