"""`pytorch_model.bin`: tensors are found where they lie, and whatever else a pickle wants does nothing but fail."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hearth.errors import CheckpointUnsupported, HearthError, ModelFileInvalid
from hearth.quantize.checkpoint.checkpoint import Checkpoint
from hearth.quantize.checkpoint.torch_file import read_torch

GOLDEN = Path(__file__).parent / "torch_save.bin"  # written by torch 2.13


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def storage(key: str = "0", count: int = 6, kind: str = "FloatStorage") -> bytes:
    return b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + number(count) + b"tQ"


def tensor(
    *shape: int, start: int = 0, strides: tuple[int, ...] | None = None, stored: bytes | None = None
) -> bytes:
    if strides is None:
        strides = tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))
    arguments = (
        (storage() if stored is None else stored) + number(start) + numbers(*shape) + numbers(*strides)
    )
    hooks = name("collections", "OrderedDict") + b")R"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + arguments + b"\x89" + hooks + b"tR"


def state(value: bytes) -> bytes:
    return b"\x80\x02}(" + text("w") + value + b"u."


def write(file: Path, program: bytes, *, compression: int = zipfile.ZIP_STORED, **more: bytes) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", program)
        archive.writestr("model/data/0", np.arange(6, dtype="<f4").tobytes(), compression)
        for entry, content in more.items():
            archive.writestr(f"model/{entry}", content)
    return file


def test_the_tensors_of_a_file_of_torch() -> None:
    tensors = read_torch(GOLDEN)
    assert list(tensors) == ["a.weight", "b.weight", "c.bias", "d", "e"]
    assert np.array_equal(tensors["a.weight"].floats(1, 2), [[4, 5, 6, 7]])
    assert np.array_equal(tensors["b.weight"].floats(), np.arange(6).reshape(2, 3) / 4)
    assert tensors["b.weight"].dtype == "BF16"
    assert np.array_equal(tensors["c.bias"].floats(), [[1.5, -2, 3]])
    assert np.array_equal(tensors["d"].read(), [[4, 5, 6, 7]])  # a view into a longer storage
    assert tensors["e"].shape == (2, 1, 2)


def test_a_view_into_a_storage(tmp_path: Path) -> None:
    file = write(tmp_path / "a.bin", state(tensor(2, 2, start=2)))
    assert np.array_equal(read_torch(file)["w"].floats(), [[2, 3], [4, 5]])


def test_a_checkpoint_of_such_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    write(tmp_path / "one.bin", state(tensor(2, 3)))
    index = {"weight_map": {"w": "one.bin"}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert Checkpoint.open(tmp_path).tensor("w").shape == (2, 3)


TOUCH = name("os", "system") + b"(" + text("touch harmed") + b"tR"
HARMFUL = {
    "a call": TOUCH,
    "a call by a newer opcode": text("os") + text("system") + b"\x93(" + text("touch harmed") + b"tR",
    "a class": b"(" + text("touch harmed") + b"ios\nsystem\n",
    "a call as the type of a storage": b"("
    + text("storage")
    + TOUCH
    + text("0")
    + text("cpu")
    + number(6)
    + b"tQ",
    "an object with a state": name("pathlib", "Path") + b")\x81}b",
    "a new object": name("subprocess", "Popen") + b"(" + text("touch harmed") + b"t\x81",
    "an extension": b"\x82\x01",
    "torch's own loader": name("torch.storage", "_load_from_bytes") + b"(" + text("x") + b"tR",
    "a builtin": name("builtins", "eval") + b"(" + text("1") + b"tR",
    "a place in memory far away": b"Nr\xff\xff\xff\x7f0" + TOUCH,
    "bytes without end": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0f",
    "an endless number": b"\x8b\xff\xff\xff\x7f",
    "a name that is no text": b"}(" + b"(" * 3 + b"ttt" + b"Nu",
    "a name nested a million times": b"})" + b"\x85" * 1_000_000 + b"Ns",
    "more dimensions than there are": tensor(*[1] * 1000),
    "a negative length": tensor(-1, 3, strides=(3, 1)),
    "nothing where something must be": b"R",
    "a mark too many": b"t",
    "half a character in a name": text("os") + b"X\x03\0\0\0\xed\xa0\x80" + b"\x93(tR",
}


@pytest.mark.parametrize("program", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_malicious_pickle_does_nothing_but_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path / "a.bin", state(program))
    with pytest.raises(ModelFileInvalid) as caught:
        read_torch(file)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "harmed").exists()


def test_the_error_names_what_a_pickle_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFileInvalid, match="os system"):
        read_torch(write(tmp_path / "a.bin", state(TOUCH)))


LYING = {
    "a tensor longer than its storage": tensor(3, 3),
    "a tensor that starts behind it": tensor(2, start=6),
    "a storage longer than its entry": tensor(2, stored=storage(count=7)),
    "a storage as long as the sea": tensor(2, stored=storage(count=1 << 60)),
    "a storage that is not there": tensor(2, stored=storage(key="9")),
    "columns in place of rows": tensor(2, 3, strides=(1, 2)),
    "the same number again and again": tensor(2, 3, strides=(0, 0)),
}


@pytest.mark.parametrize("program", LYING.values(), ids=LYING.keys())
def test_a_tensor_that_does_not_lie_where_it_says_is_refused(tmp_path: Path, program: bytes) -> None:
    with pytest.raises(ModelFileInvalid):
        read_torch(write(tmp_path / "a.bin", state(program)))


def test_a_compressed_entry_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.bin", state(tensor(6)), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileInvalid, match="compressed"):
        read_torch(file)


def test_numbers_of_other_processors_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "a.bin", state(tensor(6)), byteorder=b"big")
    with pytest.raises(ModelFileInvalid, match="other processors"):
        read_torch(file)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    whole = GOLDEN.read_bytes()
    file = tmp_path / "a.bin"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(HearthError):
        read_torch(file)


def test_a_directory_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    whole = bytearray(write(tmp_path / "a.bin", state(tensor(6))).read_bytes())
    place = whole.rindex(b"PK\x05\x06")
    whole[place + 12 : place + 16] = struct.pack("<I", 1 << 31)
    (tmp_path / "a.bin").write_bytes(whole)
    with pytest.raises(ModelFileInvalid):
        read_torch(tmp_path / "a.bin")


def test_the_format_before_the_zip_files_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
    with pytest.raises(CheckpointUnsupported, match="old format"):
        read_torch(file)
