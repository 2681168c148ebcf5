"""A caller who leaves while its answer is sent is no fault, and gRPC's own faults stay in the log."""

import asyncio
import logging
import time
from collections.abc import Iterator

import grpc
import pytest

from gateway.rpc.gone import LOGGER, leave_out_callers_who_are_gone

AT_ONCE, DEADLINE_S, TRIES_S = 100, 0.3, 30


class Refusals(logging.Filter):
    """Counts what gRPC wants to log of refused answers; it is asked before the gateway's own filter."""

    def __init__(self) -> None:
        """Of none so far."""
        super().__init__()
        self.count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Count it."""
        self.count += "ExecuteBatchError" in record.getMessage()
        return True


@pytest.fixture
def refusals() -> Iterator[Refusals]:
    logger = logging.getLogger(LOGGER)
    before = list(logger.filters)
    counting = Refusals()
    logger.filters[:] = [counting]
    yield counting
    logger.filters[:] = before


async def end_at_the_deadline(ends_by_abort: bool, refusals: Refusals) -> None:
    """Ask a server that answers in the very moment in which the callers leave, until one answer was refused."""

    async def answer(_: object, context: grpc.aio.ServicerContext) -> bytes:
        await context.read()
        await asyncio.sleep(context.time_remaining() or 0)
        if ends_by_abort:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late")
        return b"late"

    server = grpc.aio.server()
    methods = {"Classify": grpc.stream_unary_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Late", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    until = time.monotonic() + TRIES_S
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_unary("/test.Late/Classify")
        while not refusals.count and time.monotonic() < until:
            calls = [method(b"", timeout=DEADLINE_S) for _ in range(AT_ONCE)]
            await asyncio.gather(*(call.code() for call in calls))
    await server.stop(1)


@pytest.mark.parametrize("ends_by_abort", [True, False], ids=["error", "answer"])
def test_an_answer_to_nobody_is_not_logged(
    refusals: Refusals, caplog: pytest.LogCaptureFixture, ends_by_abort: bool
) -> None:
    leave_out_callers_who_are_gone()
    asyncio.run(end_at_the_deadline(ends_by_abort, refusals))
    assert not caplog.records
    assert refusals.count, f"in {TRIES_S} seconds no caller left while its answer was sent"


@pytest.mark.usefixtures("refusals")
def test_other_faults_of_grpc_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    leave_out_callers_who_are_gone()
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger(LOGGER).exception("Unexpected [ValueError] raised by servicer method [/a.B/C]")
    logging.getLogger(LOGGER).error("Abort error unexpectedly suppressed")
    assert len(caplog.records) == 2
