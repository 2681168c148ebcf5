"""Which trace does a caller's request belong to? What its header `traceparent` says, read without OpenTelemetry.

The form is that of W3C's Trace Context. A header that is not of that form says nothing: a new trace begins.
"""

import re
from typing import NamedTuple

TRACEPARENT = b"traceparent"
TRACESTATE = b"tracestate"

_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_SAMPLED = 1
_LONGEST = 512
"""Bytes; version 00 has 55, and a later one may add to that."""


class TraceIds(NamedTuple):
    """A span of some trace, as its ids are written: in lower-case hexadecimal digits."""

    trace_id: str
    """32 digits."""
    span_id: str
    """16 digits."""
    sampled: bool
    """Whether whoever began the trace records it."""


def ids_in(header: bytes) -> TraceIds | None:
    """What a `traceparent` says; None where it is not as the standard wants it."""
    found = _FORM.fullmatch(header) if len(header) <= _LONGEST else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    if trace_id == b"0" * 32 or span_id == b"0" * 16:
        return None
    return TraceIds(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED))
