"""How does one attempt get over the wire? A POST by a pool of connections, bounded in time and length."""

from __future__ import annotations

import asyncio
import platform
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

import httpx

from text_classifier_client.config import Config
from text_classifier_client.version import __version__

MOST_ANSWER_BYTES = 67_108_864
CONNECT_TIMEOUT_S = 5.0
KEPT_ALIVE_S = 30.0
"""A connection that rested longer is not used again: the gateway keeps one for 75 seconds, many a proxy for 60."""
USER_AGENT = f"text-classifier-client/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"


@dataclass(frozen=True)
class Reply:
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReplyError(Exception):
    """An attempt that brought no whole answer; the message says why.

    Attributes:
        dropped: whether the server closed the connection before it said a word.
        is_final: whether another attempt would end alike.
    """

    def __init__(self, message: str, *, dropped: bool = False, is_final: bool = False) -> None:
        super().__init__(message)
        self.dropped = dropped
        self.is_final = is_final


class Wire:
    """The connections of one client; of one event loop."""

    def __init__(self, config: Config) -> None:
        self._config = config
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # what is packed could be unpacked without end
            "Content-Type": "application/json",
            **config.headers,
        }
        if config.api_key is not None:
            headers["Authorization"] = f"Bearer {config.api_key}"
        self._http = httpx.AsyncClient(
            base_url=config.base_url,
            headers=headers,
            verify=_trusted() if config.verify is True else config.verify,
            timeout=httpx.Timeout(config.timeout, connect=min(CONNECT_TIMEOUT_S, config.timeout)),
            # How many requests there are at a time is bounded elsewhere; a hedge must not wait for a connection.
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=2 * config.concurrency,
                keepalive_expiry=KEPT_ALIVE_S,
            ),
            follow_redirects=False,  # a key must not go where a redirect points
        )

    async def post(self, path: str, body: bytes) -> Reply:
        """Send one request and read its answer whole.

        Raises:
            NoReplyError: there was none.
        """
        timeout_s = self._config.timeout
        try:
            # From the first byte to the last one: httpx bounds each read alone, so that one byte a second never ends.
            async with asyncio.timeout(timeout_s):
                return await self._post(path, body)
        except (TimeoutError, httpx.TimeoutException) as error:
            what = "connection" if isinstance(error, httpx.ConnectTimeout) else "whole answer"
            raise NoReplyError(f"{self._config.shown_url} gave no {what} within {timeout_s:g} seconds") from None
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError) as error:
            self._broke(error)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise NoReplyError(f"The request cannot be sent: {_said(error)}", is_final=True) from None
        except httpx.HTTPError as error:
            raise NoReplyError(f"{self._config.shown_url} cannot be reached: {_said(error)}") from None

    async def _post(self, path: str, body: bytes) -> Reply:
        async with self._http.stream("POST", path, content=body) as response:
            content = bytearray()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MOST_ANSWER_BYTES:
                    text = f"The answer is longer than {MOST_ANSWER_BYTES} bytes: ask fewer texts at a time"
                    raise NoReplyError(text, is_final=True)
            return Reply(response.status_code, response.headers, bytes(content))

    def _broke(self, error: httpx.HTTPError) -> NoReturn:
        said = _said(error)
        dropped = not isinstance(error, httpx.RemoteProtocolError) or "without sending" in said
        raise NoReplyError(f"The connection to {self._config.shown_url} broke: {said}", dropped=dropped) from None

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


@cache
def _trusted() -> ssl.SSLContext:
    """The usual certificates: read once, for that takes longer than many a request."""
    return httpx.create_ssl_context()


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
