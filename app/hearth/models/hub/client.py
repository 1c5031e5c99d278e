"""The hub's API: what a repository holds, which repositories there are, and pieces of files.

Through huggingface_hub; only the bytes of files are read here, since its own downloads cannot be cut into ranges,
stopped, or gone on with after a kill.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

import httpx2
from huggingface_hub import HfApi, ModelInfo, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.hf_api import ExpandModelProperty_T, RepoFile

from hearth.errors import (
    FileNotAsListed,
    HearthError,
    HubFailed,
    HubRefused,
    RepositoryGated,
    RepositoryNotFound,
    RevisionNotFound,
    TokenRefused,
)
from hearth.i18n import tr
from hearth.models.hub.address import endpoint, host, page, token_page
from hearth.models.hub.patience import Patience
from hearth.models.hub.repository import NEWEST, RemoteFile, Repository
from hearth.models.hub.session import session, transport_errors

log = logging.getLogger(__name__)

PATIENCE = Patience()
_MOST_FILES = 100_000
_MOST_LICENCE = 100  # letters: anybody may write anything there
_LISTED: list[ExpandModelProperty_T] = ["config", "downloads", "gated", "siblings"]

T = TypeVar("T")


class HubClient:
    """Asks the hub. Any thread may use it.

    Attributes:
        patience: with a hub that fails for a while.
    """

    def __init__(
        self,
        token: str | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """`token`: says who asks; `wait`: how to spend the seconds between two tries, and may raise to stop."""
        self._token = token
        self._wait = wait
        self.patience = PATIENCE

    def repository(self, name: str, revision: str = NEWEST) -> Repository:
        """What this revision of the repository holds.

        Raises:
            HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
            RepositoryNotFound, RevisionNotFound, RepositoryGated, TokenRefused, HubRefused: it does not tell.
        """

        def ask() -> Repository:
            info = self._api.model_info(name, revision=revision)
            if info.sha is None:
                raise ValueError("no commit")
            tree = islice(self._api.list_repo_tree(info.id, recursive=True, revision=info.sha), _MOST_FILES)
            files = tuple(_remote_file(entry) for entry in tree if isinstance(entry, RepoFile))
            return Repository(
                name=info.id,
                commit=info.sha,
                licence=_licence(info),
                gated=bool(info.gated),
                model_type=_model_type(info),
                files=files,
            )

        return self._ask(ask, name, revision)

    def search(self, words: str, limit: int) -> list[ModelInfo]:
        """The most fetched repositories whose names have these words, with their files' names.

        Raises:
            HubOffline, HubUnreachable, HubBusy, HubFailed, TokenRefused: the hub cannot be asked.
        """

        def ask() -> list[ModelInfo]:
            found: Iterable[ModelInfo] = self._api.list_models(
                search=words, sort="downloads", limit=limit, expand=_LISTED
            )
            return list(found)

        return self._ask(ask, words, "")

    def who(self) -> str:
        """The name of the account that the token belongs to.

        Raises:
            HubOffline, HubUnreachable, HubBusy, HubFailed: the hub cannot be asked.
            TokenRefused: it does not know the token.
        """
        return self._ask(lambda: str(self._api.whoami()["name"]), "", "")

    @contextmanager
    def open(
        self, repository: str, commit: str, file: RemoteFile, start: int, end: int
    ) -> Iterator[httpx2.Response]:
        """The answer that brings the bytes from `start` to before `end`: 206, or 200 with all of the file.

        Its redirects are followed, and the token is not told to another host.

        Raises:
            HubOffline, HubUnreachable, HubBusy, HubFailed: it cannot be had now.
            RepositoryNotFound, RevisionNotFound, RepositoryGated, TokenRefused, HubRefused: it is not given.
            FileNotAsListed: what is offered is not what the repository lists.
        """
        url = hf_hub_url(repository, file.path, revision=commit, endpoint=endpoint())
        headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with session().stream("GET", url, headers=headers) as response:
            if response.status_code not in (200, 206):
                with transport_errors(response.url.host):
                    response.read()
                raise refusal(response, repository, commit, file.path)
            _check_offer(response, repository, file)
            yield response

    def check(self, repository: Repository, file: RemoteFile) -> None:
        """Ask for a file's first byte, and raise HearthError as `open` does where it is not given."""

        def ask() -> None:
            with self.open(repository.name, repository.commit, file, 0, 1):
                pass

        self.patience.call(ask, self._wait)

    def read(self, repository: Repository, file: RemoteFile) -> bytes:
        """A small file, whole; it is not compared with its checksum.

        Raises:
            FileNotAsListed: it has another length.
            HearthError: whatever `open` raises, after some patience.
        """

        def ask() -> bytes:
            data = b""
            with (
                self.open(repository.name, repository.commit, file, 0, file.bytes) as response,
                transport_errors(response.url.host),
            ):
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > file.bytes:
                        break
            if len(data) < file.bytes:
                raise HubFailed(host=response.url.host, reason=tr("it ends too early"))
            if len(data) > file.bytes:
                reason = tr("it has another length")
                raise FileNotAsListed(repository=repository.name, file=file.path, reason=reason)
            return data

        return self.patience.call(ask, self._wait)

    @cached_property
    def _api(self) -> HfApi:
        session()
        # False and not None: no token but the one that was given.
        return HfApi(endpoint=endpoint(), token=self._token or False)

    def _ask(self, ask: Callable[[], T], repository: str, revision: str) -> T:
        def once() -> T:
            try:
                return ask()
            except HfHubHTTPError as error:
                raise refusal(error.response, repository, revision, "") from error
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s answered with something else", host(), exc_info=True)
                raise HubFailed(host=host(), reason=tr("it is not what a model hub says")) from error

        return self.patience.call(once, self._wait)


def refusal(response: httpx2.Response, repository: str, revision: str, path: str) -> HearthError:
    """Why the hub did not give what was asked for; its `X-Error-Code` where it sends one."""
    code = response.headers.get("X-Error-Code", "")
    said = response.headers.get("X-Error-Message", "")
    status = response.status_code
    if code == "GatedRepo":
        return RepositoryGated(repository=repository, page=page(repository))
    if code == "RevisionNotFound":
        return RevisionNotFound(repository=repository, revision=revision)
    if code == "EntryNotFound" or status == 416:
        reason = tr("it is not there any more") if status == 404 else tr("it has another length")
        return FileNotAsListed(repository=repository, file=path, reason=reason)
    if status == 401 and ("credentials" in said or "token" in said or not repository):
        return TokenRefused(host=host(), page=token_page())
    if code == "RepoNotFound" or status in (401, 404):
        return RepositoryNotFound(repository=repository, host=host())
    if status in (403, 451):
        return HubRefused(
            repository=repository, host=host(), reason=said or tr("status {status}", status=status)
        )
    return HubFailed(host=response.url.host, reason=said or tr("status {status}", status=status))


def _check_offer(response: httpx2.Response, repository: str, file: RemoteFile) -> None:
    """The hub's own answer, which may have led elsewhere, says what it takes the file for."""
    headers = response.history[0].headers if response.history else response.headers
    offered = headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    size = headers.get("X-Linked-Size", "")
    if file.is_large and ((offered and offered != file.oid) or (size.isdigit() and int(size) != file.bytes)):
        raise FileNotAsListed(repository=repository, file=file.path, reason=tr("it is another file now"))


def _remote_file(entry: RepoFile) -> RemoteFile:
    if entry.lfs is not None:
        return RemoteFile(entry.path, int(entry.lfs.size), str(entry.lfs.sha256), is_large=True)
    return RemoteFile(entry.path, int(entry.size), str(entry.blob_id), is_large=False)


def _licence(info: ModelInfo) -> str:
    card: Any = info.card_data
    if card is None:
        return ""
    named = card.get("license_name") or card.get("license") or ""
    return " ".join(named.split())[:_MOST_LICENCE] if isinstance(named, str) else ""


def _model_type(info: ModelInfo) -> str:
    kind = (info.config or {}).get("model_type", "")
    return kind if isinstance(kind, str) else ""
