"""What an engine host finds in its environment."""

from __future__ import annotations

import sys

import pytest

from hearth.engine.host.client import host_environment


def test_a_host_sends_no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert host_environment()["ORT_DISABLE_TELEMETRY"] == "1"


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
