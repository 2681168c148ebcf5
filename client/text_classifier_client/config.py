"""How is a client set up? Its arguments, checked when it is made and not when the first text is asked."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import httpx

from text_classifier_client.hedging import HedgeAfter

DEFAULT_URL = "http://127.0.0.1:8000"


class Settings(TypedDict, total=False):
    """How a client asks.

    Attributes:
        api_key: sent as a bearer token; one of the server's API_KEYS.
        model: the model that answers calls that name none.
        timeout: seconds for each attempt, from its first byte to the last of its answer; 30.
        deadline: seconds for a whole call that is given no other, retries included; as long as it takes if None.
        retries: most retries of one request; 4.
        concurrency: most requests at a time; 4.
        batch_size: most texts of one request; 64. Smaller ones are sent where the server takes no more.
        hedge_after: seconds after which a request that has no answer is sent a second time; "p95" for as long as 95 %
            of those before it took. The first answer counts.
        hedge_share: most of such second requests, as a share of all; 0.05.
        headers: to send with each request beside the client's own.
        verify: the certificates that are trusted, as an SSLContext; False trusts any.
    """

    api_key: str | None
    model: str | None
    timeout: float
    deadline: float | None
    retries: int
    concurrency: int
    batch_size: int
    hedge_after: HedgeAfter
    hedge_share: float
    headers: Mapping[str, str]
    verify: ssl.SSLContext | bool


@dataclass(frozen=True, kw_only=True)
class Config:
    """The same with their defaults, checked.

    Raises:
        ValueError: one of them cannot be used.
    """

    base_url: str = DEFAULT_URL
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    timeout: float = 30.0
    deadline: float | None = None
    retries: int = 4
    concurrency: int = 4
    batch_size: int = 64
    hedge_after: HedgeAfter = None
    hedge_share: float = 0.05
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    verify: ssl.SSLContext | bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be used."""
        _check_url(self.base_url)
        key = self.api_key
        if key is not None and not (key and key.isascii() and key.isprintable() and not key.isspace()):
            raise ValueError("api_key has a character that no header can have, or is empty")  # which, is a secret
        _positive("timeout", self.timeout)
        if self.deadline is not None:
            _positive("deadline", self.deadline)
        for name, least in (("retries", 0), ("concurrency", 1), ("batch_size", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}: give a whole number, at least {least}")
        if self.hedge_after not in (None, "p95"):
            if isinstance(self.hedge_after, str):
                raise ValueError(f'hedge_after is {self.hedge_after!r}: give seconds, "p95" or None')
            _positive("hedge_after", self.hedge_after)
        if not 0 < self.hedge_share <= 1:
            raise ValueError(f"hedge_share is {self.hedge_share!r}: give a share of requests, such as 0.05")

    @property
    def shown_url(self) -> str:
        """The address without a password, to be named in errors."""
        return str(httpx.URL(self.base_url).copy_with(username=None, password=None)).rstrip("/")


def _check_url(base_url: str) -> None:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError) as error:
        raise ValueError(f"base_url cannot be read: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"base_url is no http:// or https:// address: give one like {DEFAULT_URL}")


def _positive(name: str, value: float | None) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value!r}: give seconds, more than 0")
