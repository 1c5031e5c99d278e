"""The graphics cards of this machine, as the system lists them, without waking a driver."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

_VENDORS = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}
# Where Windows keeps its display adapters.
_DISPLAY_CLASS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


def graphics_cards(root: Path = Path("/")) -> list[str]:
    """Their names, or those of their makers; `root` stands for `/`."""
    if sys.platform == "win32":
        return _windows_cards()
    if sys.platform == "darwin":
        return ["Apple GPU"] if platform.machine() == "arm64" else []
    return _linux_cards(root)


def _linux_cards(root: Path) -> list[str]:
    makers = []
    for file in sorted((root / "sys/class/drm").glob("card*/device/vendor")):
        try:
            vendor = int(file.read_text(), 16)
        except (OSError, ValueError):
            continue
        if vendor in _VENDORS:  # virtual machines show cards that only draw
            makers.append(_VENDORS[vendor])
    return makers


def _windows_cards() -> list[str]:
    names: list[str] = []
    if sys.platform == "win32":
        import winreg

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _DISPLAY_CLASS) as display:
            for index in range(winreg.QueryInfoKey(display)[0]):
                try:
                    with winreg.OpenKey(display, winreg.EnumKey(display, index)) as adapter:
                        place = str(winreg.QueryValueEx(adapter, "MatchingDeviceId")[0])
                        name = str(winreg.QueryValueEx(adapter, "DriverDesc")[0])
                except OSError:  # no adapter, or one that only the system may read
                    continue
                if place.lower().startswith("pci"):  # others are virtual: remote desktops, second screens
                    names.append(name)
    return names
