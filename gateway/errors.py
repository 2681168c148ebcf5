"""What can go wrong for a request, and the one table from exception to status."""


class GatewayError(Exception):
    """A request that cannot be answered; the message is one sentence for the caller."""


class InvalidRequestError(GatewayError):
    """A parameter or the body is not as it has to be."""


class UnknownVersionError(InvalidRequestError):
    """The version that is named is none that is served here."""


class UnusedVersionError(InvalidRequestError):
    """The version that is named is there, and not used: it failed, is loading, or answers wrongly."""


class UnknownModelError(GatewayError):
    """No model of that name is served."""


class MalformedBodyError(GatewayError):
    """The body is not packed as its header says."""


class BodyTooLongError(GatewayError):
    """The body is longer than the gateway takes."""


class UnsupportedMediaTypeError(GatewayError):
    """The body is of a type, coding or encoding that is not read."""


class UnauthorizedError(GatewayError):
    """The API key is missing or wrong."""


class BlankSentenceError(GatewayError):
    """The sentence has no visible character."""


class SentenceTooLongError(GatewayError):
    """The sentence is longer than the gateway takes, or than the model takes where it must not be cut."""


class TooManySentencesError(GatewayError):
    """More sentences in one request than the gateway takes, or more windows of long ones."""


class NotReadyError(GatewayError):
    """Triton is away or has no version that may be used."""


class OverloadedError(GatewayError):
    """So much is waiting already that this request would not be answered in time."""


class VersionGoneError(GatewayError):
    """No Triton serves the version that was asked."""

    def __init__(self, message: str, version: int) -> None:
        super().__init__(message)
        self.version = version


class ModelFailedError(GatewayError):
    """Triton answered with an error or with logits that are no numbers.

    Attributes:
        detail: Triton's own words, for those who look after the service; empty if there are none.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class UnknownAnswerError(GatewayError):
    """Feedback is off, or to an answer that is not remembered."""


class FeedbackFullError(GatewayError):
    """There is as much feedback as may be kept."""


class UnknownJobError(GatewayError):
    """Jobs are off, or there is no such job of this caller."""


class JobConflictError(GatewayError):
    """The job is not so far yet, or is another one than the request says."""


class RangeError(GatewayError):
    """The part that is asked for is not in the result."""


class JobsFullError(GatewayError):
    """There are as many jobs as may be kept, or they take all the room that they may."""


class DeadlineExceededError(GatewayError):
    """The answer did not come within the deadline."""


STATUS: dict[type[GatewayError], int] = {
    MalformedBodyError: 400,
    UnauthorizedError: 401,
    UnknownModelError: 404,
    UnknownAnswerError: 404,
    UnknownJobError: 404,
    JobConflictError: 409,
    BodyTooLongError: 413,
    SentenceTooLongError: 413,
    TooManySentencesError: 413,
    UnsupportedMediaTypeError: 415,
    RangeError: 416,
    InvalidRequestError: 422,
    UnknownVersionError: 422,
    UnusedVersionError: 422,
    BlankSentenceError: 422,
    ModelFailedError: 502,
    NotReadyError: 503,
    OverloadedError: 503,
    VersionGoneError: 503,
    DeadlineExceededError: 504,
    FeedbackFullError: 507,
    JobsFullError: 507,
}

OF_JOBS = {409, 416}
OF_FEEDBACK = {507}
"""Statuses that sentences are not answered with."""

KINDS = {404: "NotFound", 405: "MethodNotAllowed", 413: "BodyTooLong"}
"""How the metrics call refusals that the web framework makes; `BadRequest` for those that have no name here."""


def kind_of(error: GatewayError | int) -> str:
    """How the metrics call a refusal: by its exception, or by the status that the web framework gives it."""
    if isinstance(error, int):
        return KINDS.get(error, "BadRequest")
    return type(error).__name__.removesuffix("Error")


RETRY_AFTER_S = 1
"""Seconds after which a caller that got 503 should try again; Triton restarts in about two."""
