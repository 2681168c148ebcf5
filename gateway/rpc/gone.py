"""Keeps out of the log that a caller by gRPC was gone when its answer was sent.

When a caller leaves, gRPC refuses whatever is sent to it from then on, and tells the method a moment later. An answer
that comes in between is logged as an error, with a traceback, though nothing is wrong: callers whose deadline is over
leave so, in crowds while Triton hangs. Each such call has its line in the gateway's own log.
"""

import logging

import grpc

LOGGER = "grpc._cython.cygrpc"


def leave_out_callers_who_are_gone() -> None:
    """Log no more that an answer could not be sent. May be called again."""
    logging.getLogger(LOGGER).addFilter(_tells_of_a_fault)


def _tells_of_a_fault(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, grpc.aio.InternalError)  # its only kind here: a batch of operations was refused
