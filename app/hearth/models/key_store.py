"""Secrets in the system's own key store, and nowhere else. Its library is read when something is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hearth.errors import KeyStoreUnusable
from hearth.i18n import tr

_SERVICE = "Hearth"


def read_secret(user: str) -> str:
    """What is kept under this name; empty where nothing is.

    Raises:
        KeyStoreUnusable: there is no store that can be asked.
    """
    import keyring

    with _store():
        return keyring.get_password(_SERVICE, user) or ""


def keep_secret(user: str, secret: str) -> None:
    """Keep it under this name.

    Raises:
        KeyStoreUnusable: there is nowhere to keep it.
    """
    import keyring

    with _store():
        keyring.set_password(_SERVICE, user, secret)


def forget_secret(user: str) -> bool:
    """Forget what is kept under this name; whether there was something.

    Raises:
        KeyStoreUnusable: there is no store that can be asked.
    """
    import keyring
    from keyring.errors import PasswordDeleteError

    with _store():
        if keyring.get_password(_SERVICE, user) is None:
            return False
        try:
            keyring.delete_password(_SERVICE, user)
        except PasswordDeleteError:  # another process was faster
            return False
        return True


@contextmanager
def _store() -> Iterator[None]:
    import keyring
    from keyring.backends import fail, null
    from keyring.errors import KeyringError

    try:
        if isinstance(keyring.get_keyring(), fail.Keyring | null.Keyring):
            raise KeyStoreUnusable(reason=tr("none was found"))
        yield
    except (KeyringError, OSError, RuntimeError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200].rstrip(".")
        raise KeyStoreUnusable(reason=reason) from error
