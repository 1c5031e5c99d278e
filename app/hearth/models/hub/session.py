"""HTTP to the hub, and to where it sends us: nothing while Hearth is offline, and never without an end.

Proxies are those of the system and of `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`; certificates those that the system
trusts.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from huggingface_hub import get_session, set_client_factory

from hearth import __version__
from hearth.errors import HearthError, HubBusy, HubFailed, HubOffline, HubUnreachable
from hearth.i18n import tr
from hearth.models.hub.address import endpoint, host
from hearth.offline import is_offline

# Seconds. Between two pieces of a file a server may be silent for that long.
_TIMEOUT = httpx2.Timeout(connect=10.0, read=30.0, write=30.0, pool=None)
# Of the header RateLimit (draft-ietf-httpapi-ratelimit-headers): nothing remains, and for how many seconds.
_USED_UP = re.compile(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)")
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")  # before what the system says
_TRY_AGAIN = (408, 429, 500, 502, 503, 504)


class _Client(httpx2.Client):
    """What huggingface_hub sends its requests with. Trying again is left to Hearth, where it can be stopped."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        if is_offline():
            raise HubOffline(host=host())
        # The library asks for no timeout at all in some calls.
        request.extensions["timeout"] = _TIMEOUT.as_dict()
        request.headers["User-Agent"] = f"hearth/{__version__}"
        hub = httpx2.URL(endpoint())
        if (request.url.scheme, request.url.host, request.url.port) != (hub.scheme, hub.host, hub.port):
            request.headers.pop("Authorization", None)  # the next page of a list may be said to lie anywhere
        with transport_errors(request.url.host):
            response = super().send(request, **options)
        if response.status_code in _TRY_AGAIN:
            response.close()
            raise _not_now(response)
        return response


def session() -> httpx2.Client:
    """The one client of this process.

    Raises:
        HubUnreachable: a proxy's address cannot be used.
    """
    try:
        return get_session()
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        raise HubUnreachable(host=host(), reason=str(error)) from error


@contextmanager
def transport_errors(where: str) -> Iterator[None]:
    """What goes wrong on the way to the host `where`, in Hearth's words; "" is an address without a host.

    Raises:
        HubUnreachable: the connection cannot be made, breaks off, or stays silent.
        HubFailed: the answer leads in a circle, or is packed in a way that cannot be undone.
    """
    where = where or host()
    try:
        yield
    except httpx2.TransportError as error:
        reason = _ERRNO.sub("", str(error)) or type(error).__name__
        raise HubUnreachable(host=where, reason=reason) from error
    except (httpx2.RequestError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise HubFailed(host=where, reason=str(error) or type(error).__name__) from error


def _not_now(response: httpx2.Response) -> HearthError:
    where = response.url.host
    if response.status_code == 429:
        return HubBusy(host=where, seconds=_seconds_to_wait(response))
    return HubFailed(host=where, reason=tr("status {status}", status=response.status_code))


def _seconds_to_wait(response: httpx2.Response) -> int:
    """What the server asks for; 0 where it does not say."""
    used_up = _USED_UP.search(response.headers.get("RateLimit", ""))
    if used_up is not None:
        return int(used_up[1])
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isdigit():
        return int(asked)
    try:
        moment = parsedate_to_datetime(asked)
    except ValueError:
        return 0
    return max(0, round((moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()))


set_client_factory(lambda: _Client(follow_redirects=True))
# Its lines go where all others go, not to standard error.
_library_log = logging.getLogger("huggingface_hub")
_library_log.handlers.clear()
_library_log.propagate = True
