"""The files beside a graph: each place is checked, however the graph hides it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from hearth.errors import (
    HearthError,
    ModelFileInvalid,
    ModelFileMissing,
    ModelFileOutside,
    ModelFileTruncated,
    ModelUnsupported,
)
from hearth.model_folder.folder import ModelFolder
from onnx_bytes import block, graph, model, node, number, tensor, write_model_folder

OUTSIDE = tensor(location="../secret", offset="0", length="16")


def folder_with(tmp_path: Path, *parts: bytes) -> Path:
    (tmp_path / "secret").write_bytes(bytes(16))
    return write_model_folder(tmp_path / "model", graph_parts=parts)


def place(location: str = "model.onnx.data", offset: str = "0", length: str = "16", **more: str) -> bytes:
    return block(5, tensor(location=location, offset=offset, length=length, **more))


def test_sound_external_data_is_found(tmp_path: Path) -> None:
    folder = ModelFolder.open(folder_with(tmp_path, place(), place(length="16")))
    assert folder.data_files == (folder.path / "model.onnx.data",)


def test_offset_and_length_may_be_left_out(tmp_path: Path) -> None:
    ModelFolder.open(folder_with(tmp_path, block(5, tensor(location="model.onnx.data"))))


def test_the_payload_of_a_large_inline_tensor_is_skipped(tmp_path: Path) -> None:
    inline = block(5, number(1, 1 << 20) + number(2, 1) + block(9, bytes(4 << 20)))
    assert ModelFolder.open(folder_with(tmp_path, inline)).data_files == ()


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "C:\\secret",
        "\\\\host\\secret",
        "C:secret",
        "..",
        ".",
        "../model/model.onnx.data",
    ],
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises((ModelFileOutside, ModelFileInvalid)):
        ModelFolder.open(folder_with(tmp_path, place(location)))


def test_an_address_in_memory_is_refused_even_where_such_a_file_exists(tmp_path: Path) -> None:
    path = folder_with(tmp_path, place("*/_ORT_MEM_ADDR_/*"))
    if sys.platform != "win32":
        (path / "*" / "_ORT_MEM_ADDR_").mkdir(parents=True)
        (path / "*" / "_ORT_MEM_ADDR_" / "*").write_bytes(bytes(16))
    with pytest.raises(ModelFileOutside):
        ModelFolder.open(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize("name", ["model.onnx.data", "model.onnx", "tokenizer.json", "genai_config.json"])
def test_a_link_that_leads_out_is_refused_for_every_file(tmp_path: Path, name: str) -> None:
    path = folder_with(tmp_path, place())
    (path / name).rename(tmp_path / "moved")
    (path / name).symlink_to(tmp_path / "moved")
    with pytest.raises(ModelFileOutside, match="moved"):
        ModelFolder.open(path)
    ModelFolder.open(path, roots=[tmp_path])


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "tokenizer_config.json", "LICENSE", "special_tokens_map.json"]
)
def test_a_link_that_leads_out_is_refused_for_side_files(tmp_path: Path, name: str) -> None:
    path = folder_with(tmp_path, place())
    (path / name).unlink(missing_ok=True)
    (path / name).symlink_to("/etc/passwd")
    with pytest.raises(ModelFileOutside):
        ModelFolder.open(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_linked_folder_inside_leads_out_too(tmp_path: Path) -> None:
    path = folder_with(tmp_path, place("sub/secret"))
    (path / "sub").symlink_to(tmp_path)
    with pytest.raises(ModelFileOutside):
        ModelFolder.open(path)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_inside_the_folder_are_fine_and_a_ring_is_refused(tmp_path: Path) -> None:
    path = folder_with(tmp_path, place())
    (path / "blob").write_bytes(bytes(16))
    (path / "model.onnx.data").unlink()
    (path / "model.onnx.data").symlink_to("blob")
    ModelFolder.open(path)
    (path / "blob").unlink()
    (path / "blob").symlink_to("model.onnx.data")
    with pytest.raises(HearthError):
        ModelFolder.open(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_in_place_of_a_file_is_refused_and_never_opened(tmp_path: Path) -> None:
    path = folder_with(tmp_path, place())
    (path / "model.onnx.data").unlink()
    os.mkfifo(path / "model.onnx.data")
    with pytest.raises(ModelFileInvalid, match="regular file"):
        ModelFolder.open(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelFileMissing, match=r"weights\.bin"):
        ModelFolder.open(folder_with(tmp_path, place("weights.bin")))


def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path) -> None:
    path = folder_with(tmp_path, place())
    (path / "model.onnx.data").write_bytes(bytes(15))
    with pytest.raises(ModelFileTruncated, match=r"15 bytes .* needs 16"):
        ModelFolder.open(path)


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        ("1", "16"),
        ("18446744073709551615", "16"),
        ("999999999999999999", "16"),
        ("-1", "16"),
        ("0", "-16"),
        ("0", "15"),
        (" 0", "16"),
        ("0x0", "16"),
        ("٠", "16"),
        ("", "16"),
    ],
)
def test_offsets_and_lengths_without_sense_are_refused(tmp_path: Path, offset: str, length: str) -> None:
    with pytest.raises((ModelFileInvalid, ModelFileTruncated)):
        ModelFolder.open(folder_with(tmp_path, place(offset=offset, length=length)))


@pytest.mark.parametrize("prepacked", ["k|0;16;x", "k|0;8;x|8;8;y"])
def test_packed_weights_inside_the_file_are_fine(tmp_path: Path, prepacked: str) -> None:
    ModelFolder.open(folder_with(tmp_path, place(prepacked_0=prepacked)))


@pytest.mark.parametrize("prepacked", ["k|0;17;x", "k|0;8;x|16;1;y", "k|0", "k|a;1;x"])
def test_packed_weights_outside_the_file_are_refused(tmp_path: Path, prepacked: str) -> None:
    with pytest.raises((ModelFileInvalid, ModelFileTruncated)):
        ModelFolder.open(folder_with(tmp_path, place(prepacked_0=prepacked)))


@pytest.mark.parametrize(
    "part",
    [
        block(5, OUTSIDE),
        block(15, block(1, OUTSIDE)),
        block(15, block(2, OUTSIDE)),
        block(1, node("Constant", block(1, "value") + block(5, OUTSIDE))),
        block(1, node("Constant", block(10, OUTSIDE))),
        block(1, node("Constant", block(22, block(1, OUTSIDE)))),
        block(1, node("Constant", block(23, block(2, OUTSIDE)))),
        block(1, node("If", block(6, block(5, OUTSIDE)))),
        block(1, node("If", block(11, block(1, node("If", block(6, block(5, OUTSIDE))))))),
    ],
    ids=str,
)
def test_a_tensor_is_found_wherever_a_graph_can_hold_one(tmp_path: Path, part: bytes) -> None:
    with pytest.raises(ModelFileOutside):
        ModelFolder.open(folder_with(tmp_path, part))


@pytest.mark.parametrize(
    "part",
    [
        block(25, block(7, node("Constant", block(5, OUTSIDE)))),
        block(25, block(11, block(5, OUTSIDE))),
        block(20, block(1, block(5, OUTSIDE))),
        block(20, block(2, block(5, OUTSIDE))),
    ],
    ids=str,
)
def test_a_tensor_is_found_in_functions_and_training(tmp_path: Path, part: bytes) -> None:
    path = folder_with(tmp_path, place())
    (path / "model.onnx").write_bytes(model(graph(), part))
    with pytest.raises(ModelFileOutside):
        ModelFolder.open(path)


def test_a_value_given_in_two_halves_is_refused(tmp_path: Path) -> None:
    halves = block(5, tensor(location="model.onnx.data")) + block(5, tensor(offset="8"))
    with pytest.raises(ModelFileInvalid, match="twice"):
        ModelFolder.open(folder_with(tmp_path, block(1, node("Constant", halves))))


def test_a_place_given_twice_is_refused(tmp_path: Path) -> None:
    twice = tensor(location="model.onnx.data") + tensor(location="../secret")
    with pytest.raises(ModelFileInvalid, match="twice"):
        ModelFolder.open(folder_with(tmp_path, block(5, twice)))


def test_graphs_nested_without_end_are_refused(tmp_path: Path) -> None:
    part = b""
    for _ in range(1000):
        part = block(1, node("If", block(6, part)))
    with pytest.raises(ModelFileInvalid, match="nested"):
        ModelFolder.open(folder_with(tmp_path, part))


def test_a_tensor_of_endless_dimensions_is_refused(tmp_path: Path) -> None:
    endless = tensor(dims=(2**62,) * 100, location="model.onnx.data")
    with pytest.raises(ModelFileInvalid, match="dimensions"):
        ModelFolder.open(folder_with(tmp_path, block(5, endless)))


def test_a_graph_that_was_compiled_for_an_accelerator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="accelerator"):
        ModelFolder.open(folder_with(tmp_path, block(1, node("EPContext"))))
