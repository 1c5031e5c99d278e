"""Where the apps of this user keep their files, by system."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """One user's folders.

    Attributes:
        home: the user's.
        environment: variables that may name other folders.
        system: as `sys.platform` spells it.
        root: of the file system, for what belongs to all users.
    """

    home: Path = field(default_factory=Path.home)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    system: str = sys.platform
    root: Path = Path("/")

    def variable(self, name: str) -> Path | None:
        """The folder that an environment variable names; None where it is not set."""
        text = self.environment.get(name, "").strip(" \"'")
        if not text:
            return None
        # Not Path.expanduser, which knows only the home of this process.
        return self.home / text.removeprefix("~/") if text.startswith("~/") else Path(text).absolute()

    @property
    def data(self) -> Path:
        """What apps keep for the user; on Windows what travels with the user."""
        if self.system == "win32":
            return self.variable("APPDATA") or self.home / "AppData" / "Roaming"
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        return self.variable("XDG_DATA_HOME") or self.home / ".local" / "share"

    @property
    def local_data(self) -> Path:
        """The same for what stays on this machine."""
        if self.system == "win32":
            return self.variable("LOCALAPPDATA") or self.home / "AppData" / "Local"
        return self.data

    @property
    def config(self) -> Path:
        """Settings of apps that keep them apart from their data, as on Linux."""
        if self.system == "win32":
            return self.data
        return self.variable("XDG_CONFIG_HOME") or self.home / ".config"

    @property
    def cache(self) -> Path:
        """What apps could fetch again."""
        return self.variable("XDG_CACHE_HOME") or self.home / ".cache"
