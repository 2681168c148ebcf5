"""Who may ask: callers who send one of the keys, in whichever bytes their program writes its letters."""

import contextlib
import hashlib
import hmac
import unicodedata
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.errors import UnauthorizedError
from gateway.settings import listed


class KeyCheck:
    """Dependency that lets only callers with one of the keys pass."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = [written for key in keys for written in _as_bytes(key)]

    async def __call__(
        self, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        """Raise UnauthorizedError for everybody else."""
        self.check(credentials.credentials.encode("latin-1") if credentials else b"")  # as it came, see ASGI

    def check(self, given: bytes) -> None:
        """Raise UnauthorizedError unless `given` is one of the keys."""
        # In constant time: how long it takes must not tell how much of a key was right.
        if not any(hmac.compare_digest(given, key) for key in self._keys):
            raise UnauthorizedError("The API key is missing or wrong: send it in the header Authorization: Bearer KEY.")


def owner_of(request: Request) -> str:
    """Who asks: a digest of the key that was sent, in whichever bytes; empty where none is needed.

    The digest is no secret of the caller's, but keys that can be guessed can be guessed from it.
    """
    keys = listed(request.app.state.holder.services.settings.api_keys.get_secret_value())
    given = request.headers.get("authorization", "").partition(" ")[2].strip().encode("latin-1")
    for key in keys:
        if any(hmac.compare_digest(given, written) for written in _as_bytes(key)):
            return hashlib.sha256(b"owner of jobs:" + unicodedata.normalize("NFC", key).encode()).hexdigest()[:32]
    return ""


def _as_bytes(key: str) -> set[bytes]:
    """A header has no encoding: programs write it in UTF-8 or Latin-1, an accent as part of its letter or behind it."""
    composed = unicodedata.normalize("NFC", key)
    written = {form.encode() for form in (key, composed, unicodedata.normalize("NFD", key))}
    with contextlib.suppress(UnicodeEncodeError):
        written.add(composed.encode("latin-1"))
    return written
