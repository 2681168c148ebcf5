"""What can go wrong, and what is to be done about it? One class for each thing that a caller would do."""

from __future__ import annotations


class ClassifierError(Exception):
    """Base of all errors of this package.

    Attributes:
        says: what is wrong, in the server's own sentence where it gave one.
        status: of the HTTP answer; None where there was none.
        request_id: by which the server's log knows the request; None where it gave no answer.
        hint: what to do.
    """

    hint = ""

    def __init__(self, says: str, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(says, status, request_id)  # what pickle makes it of again
        self.says = says
        self.status = status
        self.request_id = request_id

    def __str__(self) -> str:
        known = [f"status {self.status}"] if self.status else []
        known += [f"request {self.request_id}"] if self.request_id else []
        says = f"{self.says} ({', '.join(known)})" if known else self.says
        return f"{says} {self.hint}".rstrip()


class RequestError(ClassifierError):
    """The server refuses the request as it is (4xx): asked again it would refuse it again."""


class AuthenticationError(RequestError):
    """The API key is missing, wrong, or not allowed to ask this (401, 403)."""

    hint = "Give the client a key that the server knows: api_key=..."


class NotFoundError(RequestError):
    """The server knows no such model, or `base_url` is not a classifier's (404)."""

    hint = "Look at base_url, and at the models that GET /models names."


class TextError(RequestError):
    """One of the texts cannot be classified: it is blank, too long, or has nothing that the model knows.

    Attributes:
        index: place of the text in what was given, from 0.
    """

    hint = 'With on_error="return" the other texts are answered all the same.'

    def __init__(self, says: str, index: int, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(says, status, request_id)
        self.args = (says, index, status, request_id)
        self.index = index


class ServerError(ClassifierError):
    """The server failed (5xx)."""

    hint = "The server's log says why, by the request's id."


class UnavailableError(ServerError):
    """The server has no room or no model at present (429, 502, 503, 504), and retries did not help.

    Attributes:
        retry_after_s: seconds after which it wants to be asked again; None where it does not say.
    """

    hint = "Ask again later, or with fewer texts at a time; more retries= or a longer deadline= wait longer."

    def __init__(
        self,
        says: str,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(says, status, request_id)
        self.args = (says, status, request_id, retry_after_s)
        self.retry_after_s = retry_after_s


class ConnectionFailedError(ClassifierError):
    """There was no whole answer: nobody listens, the connection broke, or an attempt took longer than `timeout`."""

    hint = "Look at base_url and whether the server runs; timeout= bounds each attempt."


class DeadlineError(ClassifierError):
    """The answer did not come within the call's deadline, retries included."""

    hint = "Give a longer deadline=, or fewer texts at a time."


class BadAnswerError(ClassifierError):
    """What came with status 200 is not the answer of a classifier."""

    hint = "Look at base_url: something else may answer there, such as a proxy's page."


class ClosedError(ClassifierError):
    """The client was closed, by `close()` or at the end of its `with` block."""

    hint = "Make a new one."
