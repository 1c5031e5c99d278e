"""Which wheels an installer takes on each system, and what is said where there is none."""

from __future__ import annotations

import pytest
from packaging.tags import parse_tag

from wheels import TARGETS, Choice, oldest_platform, reason, tags

BY_NAME = {str(target): target for target in TARGETS}


@pytest.mark.parametrize(
    ("target", "taken", "refused"),
    [
        (
            "macOS arm64",
            (
                "cp312-cp312-macosx_14_0_arm64",
                "cp310-abi3-macosx_11_0_arm64",
                "py3-none-macosx_10_9_universal2",
            ),
            ("cp312-cp312-macosx_15_0_arm64", "cp312-cp312-macosx_11_0_x86_64"),
        ),
        (
            "Windows x64",
            ("cp312-cp312-win_amd64", "cp310-abi3-win_amd64"),
            ("cp312-cp312-win_arm64", "cp312-cp312-win32"),
        ),
        (
            "Linux x64",
            ("cp312-cp312-manylinux_2_34_x86_64", "cp310-abi3-manylinux2014_x86_64", "py3-none-any"),
            (
                "cp312-cp312-manylinux_2_35_x86_64",
                "cp312-cp312-musllinux_1_2_x86_64",
                "cp312-cp312-manylinux_2_28_aarch64",
                "cp313-cp313-manylinux_2_28_x86_64",
                "cp312-cp312t-manylinux_2_28_x86_64",
            ),
        ),
    ],
)
def test_the_wheels_that_a_system_takes(
    target: str, taken: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    accepted = set(tags(BY_NAME[target], (3, 12)))
    for tag in taken:
        assert parse_tag(tag) & accepted, tag
    for tag in refused:
        assert not parse_tag(tag) & accepted, tag


def test_the_oldest_system_is_that_of_the_most_demanding_wheel() -> None:
    names = ("any", "manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_31_x86_64")
    choices = [Choice("tiny", "1", f"tiny-1-py3-none-{name}.whl", "", "") for name in names]
    assert oldest_platform(BY_NAME["Linux x64"], choices) == "manylinux_2_31_x86_64"


def test_the_reason_is_one_line() -> None:
    complaint = (
        "error: No solution found when resolving dependencies\n  cause: Because tiny==1 has no wheels\n"
        "    and hearth depends on it, no.\n\nhint: Wheels are available elsewhere"
    )
    assert reason(complaint) == "Because tiny==1 has no wheels and hearth depends on it, no."
    assert reason("error: the index cannot be reached\n") == "error: the index cannot be reached"
