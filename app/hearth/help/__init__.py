"""The help pages: read, searched, and shown by whoever asks for them."""

from hearth.help.library import HelpLibrary, read_help

__all__ = ["HelpLibrary", "read_help"]
