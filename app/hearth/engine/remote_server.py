"""A server that speaks OpenAI's API: its client, which models it lists, and what goes wrong on the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, NoReturn

import httpx2
import msgspec

from hearth.errors import (
    HearthError,
    OfflineMode,
    RemoteBusy,
    RemoteFailed,
    RemoteModelMissing,
    RemoteRefused,
    RequestInvalid,
)
from hearth.i18n import tr
from hearth.offline import is_offline

_TIMEOUT: Final = httpx2.Timeout(30.0, connect=10.0, read=300.0)
_LOOK_SECONDS: Final = 10.0
_MOST_LISTING_BYTES: Final = 8 << 20
_MOST_ERROR_BYTES: Final = 64 << 10


class RemoteServer:
    """Asked with one key, and redirected nowhere: the key is for this server alone.

    Attributes:
        client: for requests below the address.
        host: whom it asks.
    """

    def __init__(self, address: str, key: str, name: str) -> None:
        """Ask nothing yet.

        Args:
            address: of the API, such as "https://example.org/v1".
            key: empty for none.
            name: what errors call it.

        Raises:
            OfflineMode, RemoteFailed: it cannot be asked.
        """
        if is_offline():
            raise OfflineMode(name=name)
        self._name = name
        try:
            self.client = httpx2.Client(
                base_url=address.rstrip("/") + "/",
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=_TIMEOUT,
                # Each answer has a connection of its own, which can be cut without the others.
                limits=httpx2.Limits(max_keepalive_connections=0),
                follow_redirects=False,
            )
        except (httpx2.InvalidURL, ValueError, UnicodeError) as error:
            raise RemoteFailed(name=name, reason=tr("its address or its key is not valid")) from error
        self.host = self.client.base_url.host

    def models(self) -> dict[str, dict[str, Any]]:
        """What it says of each of its models, by their ids; nothing where it lists none.

        Raises:
            RemoteFailed, RemoteRefused, RemoteBusy: it cannot be asked.
        """
        with self.failures(), self.client.stream("GET", "models", timeout=_LOOK_SECONDS) as response:
            if response.status_code in (404, 405, 501):
                return {}
            if response.status_code != httpx2.codes.OK:
                self.refuse(response)
            body = _body(response, _MOST_LISTING_BYTES)
            if len(body) > _MOST_LISTING_BYTES:
                raise RemoteFailed(name=self._name, reason=tr("what it sends is too long"))
            listed = self.decode(body).get("data")
        if not isinstance(listed, list):
            return {}
        return {str(one["id"]): one for one in listed if isinstance(one, dict) and one.get("id")}

    def decode(self, data: bytes) -> dict[str, Any]:
        """A JSON object. Raises RemoteFailed."""
        try:
            return msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.no_answer()

    def no_answer(self) -> NoReturn:
        """The error for what is not of the API."""
        raise RemoteFailed(name=self._name, reason=tr("what it sends is not of OpenAI's API"))

    def refuse(self, response: httpx2.Response, model: str = "") -> NoReturn:
        """The error for an answer that is none, to a request about `model`."""
        status = response.status_code
        message = ""
        with suppress(RemoteFailed):
            message = error_message(self.decode(_body(response, _MOST_ERROR_BYTES)))
        if status in (401, 403):
            raise RemoteRefused(name=self._name)
        if status == 404:
            raise RemoteModelMissing(name=self._name, model=model)
        if status == 429:
            raise RemoteBusy(name=self._name, seconds=_retry_after(response.headers.get("Retry-After", "")))
        if status in (400, 413, 422) and message:
            raise RequestInvalid(reason=message)
        reason = tr("HTTP status {status}", status=status)
        raise RemoteFailed(name=self._name, reason=f"{reason}, {message}" if message else reason)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """What goes wrong on the way, as one line."""
        try:
            yield
        except HearthError:
            raise
        except httpx2.TimeoutException as error:
            raise RemoteFailed(name=self._name, reason=tr("it took too long")) from error
        except httpx2.ConnectError as error:
            raise RemoteFailed(
                name=self._name, reason=tr("no connection ({detail})", detail=error)
            ) from error
        except (httpx2.RemoteProtocolError, httpx2.ReadError) as error:
            raise RemoteFailed(name=self._name, reason=tr("its answer was cut off")) from error
        except (httpx2.SSEError, UnicodeDecodeError):
            self.no_answer()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0][:200]
            raise RemoteFailed(name=self._name, reason=reason) from error


def error_message(body: dict[str, Any]) -> str:
    """The server's own words, on one line."""
    error = body.get("error", body.get("detail", body.get("message", "")))
    text = error.get("message", "") if isinstance(error, dict) else error
    lines = str(text).strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else "?"


def _body(response: httpx2.Response, most: int) -> bytes:
    """What the server sends; where that is more, only as much as shows it."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > most:
            break
    return bytes(body)


def _retry_after(value: str) -> int:
    """Seconds, from a number or a date."""
    with suppress(ValueError):
        return max(1, int(value))
    with suppress(ValueError, TypeError):
        return max(1, round((parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()))
    return 60
