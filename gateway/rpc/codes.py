"""Which of gRPC's codes for which mistake? The one table beside that of HTTP's statuses in `gateway/errors.py`."""

from gateway.errors import (
    RETRY_AFTER_S,
    BlankSentenceError,
    BodyTooLongError,
    DeadlineExceededError,
    FeedbackFullError,
    GatewayError,
    InvalidRequestError,
    JobConflictError,
    JobsFullError,
    MalformedBodyError,
    ModelFailedError,
    NotReadyError,
    OverloadedError,
    RangeError,
    SentenceTooLongError,
    TooManySentencesError,
    UnauthorizedError,
    UnknownAnswerError,
    UnknownJobError,
    UnknownModelError,
    UnknownVersionError,
    UnsupportedMediaTypeError,
    UnusedVersionError,
    VersionGoneError,
)

CODES: dict[type[GatewayError], str] = {
    # What would fail again is INVALID_ARGUMENT, also where it is too long: callers try RESOURCE_EXHAUSTED again.
    BlankSentenceError: "INVALID_ARGUMENT",
    BodyTooLongError: "INVALID_ARGUMENT",
    InvalidRequestError: "INVALID_ARGUMENT",
    MalformedBodyError: "INVALID_ARGUMENT",
    SentenceTooLongError: "INVALID_ARGUMENT",
    TooManySentencesError: "INVALID_ARGUMENT",
    UnknownVersionError: "INVALID_ARGUMENT",
    UnsupportedMediaTypeError: "INVALID_ARGUMENT",
    UnusedVersionError: "INVALID_ARGUMENT",
    UnauthorizedError: "UNAUTHENTICATED",
    UnknownAnswerError: "NOT_FOUND",
    UnknownModelError: "NOT_FOUND",
    ModelFailedError: "INTERNAL",
    NotReadyError: "UNAVAILABLE",
    VersionGoneError: "UNAVAILABLE",
    FeedbackFullError: "RESOURCE_EXHAUSTED",
    OverloadedError: "RESOURCE_EXHAUSTED",
    DeadlineExceededError: "DEADLINE_EXCEEDED",
    # Of what HTTP alone asks for.
    JobConflictError: "FAILED_PRECONDITION",
    JobsFullError: "RESOURCE_EXHAUSTED",
    RangeError: "OUT_OF_RANGE",
    UnknownJobError: "NOT_FOUND",
}

INFERENCE_CODES = {**CODES, UnknownVersionError: "NOT_FOUND", UnusedVersionError: "UNAVAILABLE"}
"""The same for the Open Inference Protocol, where Triton says these; `gateway/dialects/kserve.py` has the statuses."""

PASSING = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
"""Codes of what passes by itself."""
RETRY = (("retry-after", str(RETRY_AFTER_S)), ("grpc-retry-pushback-ms", str(1000 * RETRY_AFTER_S)))
"""Metadata with these: in HTTP's words, and in those that a caller with a retry policy follows by itself."""
