"""How does a Python program ask the classifier? By `Client`, or by `AsyncClient` in programs that use asyncio."""

from text_classifier_client.answers import Answer, LabelScore
from text_classifier_client.asynchronous import AsyncClient
from text_classifier_client.errors import (
    AuthenticationError,
    BadAnswerError,
    ClassifierError,
    ClosedError,
    ConnectionFailedError,
    DeadlineError,
    NotFoundError,
    RequestError,
    ServerError,
    TextError,
    UnavailableError,
)
from text_classifier_client.options import Options
from text_classifier_client.synchronous import Client
from text_classifier_client.texts import Pair
from text_classifier_client.version import __version__

__all__ = [
    "Answer",
    "AsyncClient",
    "AuthenticationError",
    "BadAnswerError",
    "ClassifierError",
    "Client",
    "ClosedError",
    "ConnectionFailedError",
    "DeadlineError",
    "LabelScore",
    "NotFoundError",
    "Options",
    "Pair",
    "RequestError",
    "ServerError",
    "TextError",
    "UnavailableError",
    "__version__",
]
