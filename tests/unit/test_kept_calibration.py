"""What calibration has found is what a later process goes on from, or nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hearth.quantize.calibration.findings import Findings
from hearth.quantize.calibration.kept_calibration import KeptCalibration, Reached
from hearth.quantize.rounding.inputs import Feedback, Inputs
from hearth.quantize.rounding.scheme import Scheme


def some() -> Reached:
    random = np.random.default_rng(1)

    def numbers(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    feedback = Feedback(np.array([2, 0, 1]), numbers(3, 3))
    found = Findings(
        shapes={"a": (4, 3), "lm_head": (7, 3)},
        inputs={"a": Inputs(numbers(3)), "lm_head": Inputs(numbers(3), feedback)},
        losses={"a": {Scheme(4, 32): 1 / 3, Scheme(8, 64, is_symmetric=False): 1e-17}, "lm_head": {}},
        trials={"model.layers.0.": numbers(2, 4, 3)},
        peaks={"past_key_values.0.key": numbers(2, 16)},
        folds={"a.norm": numbers(3)},
    )
    return Reached(2, numbers(2, 5, 3), found)


def test_what_is_kept_is_found_again_to_the_last_bit(tmp_path: Path) -> None:
    kept = KeptCalibration(tmp_path / "layers", "key", seconds=1e-9)
    assert kept.reached is None
    written = some()
    kept.keep(written)
    read = KeptCalibration(tmp_path / "layers", "key").reached
    assert read is not None
    assert read.layers == 2
    np.testing.assert_array_equal(read.hidden, written.hidden)
    ours, theirs = read.found, written.found
    assert (ours.shapes, ours.losses) == (theirs.shapes, theirs.losses)
    for kind in ("trials", "peaks", "folds"):
        mine, other = getattr(ours, kind), getattr(theirs, kind)
        assert mine.keys() == other.keys()
        for name, values in other.items():
            np.testing.assert_array_equal(mine[name], values)
    np.testing.assert_array_equal(ours.inputs["a"].importance, theirs.inputs["a"].importance)
    assert ours.inputs["a"].feedback is None
    feedback, expected = ours.inputs["lm_head"].feedback, theirs.inputs["lm_head"].feedback
    assert feedback is not None
    assert expected is not None
    np.testing.assert_array_equal(feedback.order, expected.order)
    np.testing.assert_array_equal(feedback.upper, expected.upper)


def test_that_of_another_calibration_counts_for_nothing(tmp_path: Path) -> None:
    KeptCalibration(tmp_path / "layers", "key").keep(some(), now=True)
    assert KeptCalibration(tmp_path / "layers", "another").reached is None


@pytest.mark.parametrize("place", [0, 64, 100, -1])
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, place: int) -> None:
    file = tmp_path / "layers"
    KeptCalibration(file, "key").keep(some(), now=True)
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert KeptCalibration(file, "key").reached is None
    file.write_bytes(content[:30])
    assert KeptCalibration(file, "key").reached is None


def test_it_is_written_when_that_is_due_and_never_beyond_its_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "layers"
    KeptCalibration(file, "key", seconds=1000).keep(some())
    assert not file.exists()
    monkeypatch.setattr("hearth.quantize.calibration.kept_calibration.MOST_BYTES", 100)
    KeptCalibration(file, "key").keep(some(), now=True)
    assert not file.exists()


def test_a_folder_that_takes_nothing_ends_no_calibration(tmp_path: Path) -> None:
    KeptCalibration(tmp_path / "missing" / "layers", "key").keep(some(), now=True)
    assert list(tmp_path.iterdir()) == []
