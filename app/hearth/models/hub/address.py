"""Where the hub is, and where its pages are for people."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_DEFAULT = "https://huggingface.co"


def endpoint() -> str:
    """The hub's address: that of `HF_ENDPOINT`, where a mirror is named."""
    return (os.environ.get("HF_ENDPOINT") or _DEFAULT).rstrip("/")


def host() -> str:
    """The hub's name, for people."""
    return urlsplit(endpoint()).netloc or endpoint()


def hosts() -> frozenset[str]:
    """Where pages of repositories may be, as people copy their addresses."""
    return frozenset({host().lower(), urlsplit(_DEFAULT).netloc, "hf.co"})


def page(*parts: str) -> str:
    """The address of a page on the hub."""
    return "/".join((endpoint(), *parts))


def token_page() -> str:
    """Where a token is made."""
    return page("settings", "tokens")
