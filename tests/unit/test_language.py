"""Which language is in force, and that English stands in for every other."""

from __future__ import annotations

import pytest

from hearth import i18n


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("en", "en"),
        ("zh", "zh"),
        ("zh_CN", "zh"),
        ("zh-Hans-CN", "zh"),
        ("en_GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("Chinese (Simplified)_China", "en"),
    ],
)
def test_a_language_that_hearth_speaks_or_english(wanted: str, language: str) -> None:
    i18n.use_language(wanted)
    assert i18n.language() == language


@pytest.mark.parametrize(("system", "language"), [("zh_CN.UTF-8", "zh"), ("de_DE.UTF-8", "en"), ("C", "en")])
def test_the_systems_language_is_followed(
    system: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("LC_MESSAGES", system)
    i18n.use_language("system")
    assert i18n.language() == language


def test_texts_change_with_the_language() -> None:
    i18n.use_language("zh")
    chinese = i18n.tr("Continue")
    i18n.use_language("en")
    assert i18n.tr("Continue") == "Continue"
    assert chinese == "继续"
