"""Hearth: a private AI assistant for the machine you already own."""

__version__ = "0.1.0"
