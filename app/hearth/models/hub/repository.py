"""A repository on the hub: its name, and what a revision of it holds."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

import msgspec

from hearth.errors import RepositoryNameInvalid

NEWEST = "main"

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_PART}(?:/{_PART})?")


class RemoteFile(msgspec.Struct, frozen=True):
    """A file in a repository.

    Attributes:
        path: in the repository, with forward slashes.
        oid: SHA-256 of its content where `is_large`, else SHA-1 of it as git counts; in hexadecimal.
    """

    path: str
    bytes: int
    oid: str
    is_large: bool


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of a repository.

    Attributes:
        name: as `organization/name`.
        commit: the revision, for good.
        licence: as the repository names it; "" where it does not.
        gated: only for those who accepted its terms.
        model_type: of its `config.json`; "" where that is not known.
    """

    name: str
    commit: str
    licence: str
    gated: bool
    model_type: str
    files: tuple[RemoteFile, ...]


def parse_repository(text: str) -> tuple[str, str]:
    """Name and revision of `organization/name@revision`; without one, the newest.

    Raises:
        RepositoryNameInvalid: it cannot be the name of a repository.
    """
    name, _, revision = text.strip().partition("@")
    check_repository_name(name)
    revision = revision or NEWEST
    if len(revision) > 200 or not revision.isprintable():
        raise RepositoryNameInvalid(name=text[:200])
    return name, revision


def repository_in(text: str, hosts: Collection[str]) -> str | None:
    """The repository that `text` names as `organization/name`, or by the address of a page on one of the hosts."""
    text = text.strip()
    try:
        address = urlsplit(text if "://" in text else f"https://{text}")
    except ValueError:
        return None
    if address.netloc.lower() in hosts:
        text = "/".join(address.path.strip("/").split("/")[:2])
    return text if text.count("/") == 1 and is_repository_name(text) else None


def check_repository_name(name: str) -> None:
    """Raise RepositoryNameInvalid for what cannot be the name of a repository."""
    if not is_repository_name(name):
        raise RepositoryNameInvalid(name=name[:200])


def is_repository_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in name and "--" not in name and not name.endswith(".git")
