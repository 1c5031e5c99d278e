"""Which language is in force, and that English stands in for every other."""

from __future__ import annotations

import pytest

from hearth import i18n

VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE")


@pytest.mark.parametrize(
    ("wanted", "language"),
    [
        ("en", "en"),
        ("zh", "zh"),
        ("zh_CN", "zh"),
        ("zh-Hans-CN", "zh"),
        ("zh_SG", "zh"),
        ("zh_TW", "zh"),
        ("zh-Hant-HK", "zh"),
        ("en_GB", "en"),
        ("fr", "en"),
        ("", "en"),
        ("Chinese (Simplified)_China", "en"),
    ],
)
def test_a_language_that_hearth_speaks_or_english(wanted: str, language: str) -> None:
    i18n.use_language(wanted)
    assert i18n.language() == language


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.GB18030"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "POSIX"}, "en"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "zh_CN:en"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr:zh_CN"}, "zh"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "fr"}, "en"),
        ({"LANG": "C", "LANGUAGE": "zh_CN"}, "en"),
    ],
)
def test_the_variables_of_the_system_are_followed(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    i18n.use_language("system")
    assert i18n.language() == language


@pytest.mark.parametrize(
    ("told", "language"),
    [
        ('(\n    "zh-Hans-CN",\n    "en-CN"\n)\n', "zh"),
        ('(\n    "zh-Hant-TW"\n)\n', "zh"),
        ('(\n    "en-GB",\n    "zh-Hans-GB"\n)\n', "en"),
        ('(\n    "fr-FR",\n    "zh-Hans-FR"\n)\n', "zh"),
        ("(\n    en,\n    zh\n)\n", "en"),
        ("", "en"),
    ],
)
def test_what_macos_tells(told: str, language: str) -> None:
    assert i18n.nearest(i18n.languages_of_macos(told)) == language


@pytest.mark.parametrize(
    ("told", "language"),
    [
        (0x0804, "zh"),
        (0x1004, "zh"),
        (0x0404, "zh"),
        (0x0C04, "zh"),
        (0x0409, "en"),
        (0x0407, "en"),
        (0, "en"),
    ],
)
def test_what_windows_tells(told: int, language: str) -> None:
    assert i18n.nearest(i18n.languages_of_windows(told)) == language


def test_texts_change_with_the_language() -> None:
    i18n.use_language("zh")
    chinese = i18n.tr("Rename")
    i18n.use_language("en")
    assert i18n.tr("Rename") == "Rename"
    assert chinese == "重命名"
