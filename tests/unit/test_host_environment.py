"""What an engine host finds in its environment."""

from __future__ import annotations

import os
import sys

import pytest

from hearth.child_process import child_environment
from hearth.engine.host.client import host_environment


def test_a_host_has_what_every_child_has() -> None:
    assert child_environment().items() - host_environment().items() <= {
        ("GLIBC_TUNABLES", os.environ.get("GLIBC_TUNABLES", ""))
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has such a setting")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1"),
        ("glibc.malloc.arena_max=2", "glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1"),
        ("glibc.malloc.hugetlb=0", "glibc.malloc.hugetlb=0:glibc.malloc.arena_max=1"),
    ],
)
def test_a_host_has_huge_pages_and_one_arena_unless_its_user_decides(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", before)
    assert host_environment()["GLIBC_TUNABLES"] == after
