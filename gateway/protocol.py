"""One connection of a caller: errors in JSON, an end to whoever takes too long, an answer for a caller who only
stopped sending, and no work for one who hung up.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl

from gateway.connections import ConnectionLimits, Connections
from gateway.hang_up import FIRST_BYTE, BegunTransport, was_reset
from gateway.parsing import BODY, HEAD, NOTHING, ParsingProtocol
from gateway.refusals import CUT_OFF, NO_ROOM, Refusal, health_alone, late

LINGER_S = 5.0
LINGER_BYTES = 64 * 1024 * 1024
HANG_UP_POLL_S = 0.05


class GatewayProtocol(ParsingProtocol):
    """Refuses an over-long, malformed or late request with one JSON sentence.

    The rest of such a request is read and thrown away for a while: closing at once would make the kernel reset the
    connection, and the caller, who is still sending, would never see the answer.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._connections: Connections = self.app_state["connections"]
        self._unread_since: float | None = None
        self._thrown_away = 0
        self._ended = False
        self._refusal: Refusal | None = None
        self._answered: Any = None
        """The request-response cycle that is answering, or was last."""
        self._running: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody called."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.flow = _Flow(self.transport, self.pipeline)
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request, or throw them away after a refusal."""
        if self._refusal is None:
            super().data_received(data)
            return
        self._thrown_away += len(data)
        if self._thrown_away > LINGER_BYTES:
            self.transport.close()

    def request_complete(self) -> None:
        """It is our turn."""
        if self.cycle.response_complete:  # refused before it was read
            self.since = self.loop.time()
        else:
            self._connections.waits(self)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle
        self._running = self.loop.create_task(cycle.run_asgi(app))
        self._running.add_done_callback(self.tasks.discard)
        self.tasks.add(self._running)

    def on_response_complete(self) -> None:
        """Go on to the request that came behind the answered one, or rest."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._refusal is not None:
            self._send_refusal(self._refusal)
            return
        self.flow.resume_reading()
        self.since = self.loop.time()
        self._connections.rests(self)

    def eof_received(self) -> bool:  # type: ignore[override]
        """The caller sends no more, but may read: what was asked is answered before the connection is closed."""
        self._ended = True
        if self.reading != NOTHING:
            self.refuse(CUT_OFF)
        if not self._is_answering():
            return False
        if self._refusal is None:
            self.cycle.keep_alive = False
        self.loop.call_later(HANG_UP_POLL_S, self._look_whether_read)
        return True

    def _look_whether_read(self) -> None:
        """End the work for a caller who is gone."""
        if self.transport.is_closing() or not self._is_answering():
            return
        if was_reset(self.transport):
            self.transport.abort()
            return
        if not self._answered.response_started and self._answered.transport is self.transport:
            self.transport.write(FIRST_BYTE)
            self._answered.transport = BegunTransport(self.transport)
        self.loop.call_later(HANG_UP_POLL_S, self._look_whether_read)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller who hung up needs no answer: its sentences give up their places."""
        self._connections.lost(self)
        is_answering = self._is_answering()
        super().connection_lost(exc)
        if is_answering:
            self._give_up()

    def _is_answering(self) -> bool:
        cycle = self._answered
        return cycle is not None and not (cycle.response_complete or cycle.disconnected)

    def _give_up(self) -> None:
        self._answered.disconnected = True
        if self._running is not None:
            self._running.cancel()

    def check(self, now: float, limits: ConnectionLimits) -> None:
        """End it if it takes too long."""
        if not self.transport.get_write_buffer_size():
            self._unread_since = None
        elif self._unread_since is None:
            self._unread_since = now
        elif now - self._unread_since > limits.send_s:
            self.transport.abort()
            return
        if self._refusal is not None or self.transport.is_closing():
            return
        if self.flow.read_paused or (self.reading != BODY and self._is_answering()):
            self.since = now  # it is our turn
            return
        waited_s = now - self.since
        if self.reading == HEAD and waited_s > limits.head_s:
            self.refuse(late("request's head", limits.head_s))
        elif self.reading == BODY and waited_s > limits.body_s:
            self.refuse(late("body", limits.body_s))
        elif self.reading == NOTHING and waited_s > limits.keep_alive_s:
            self.transport.close()

    def make_room(self) -> None:
        """End it: others need its place."""
        if self.reading != NOTHING:
            self.refuse(NO_ROOM)
        self.transport.close()

    def answer_health_alone(self) -> None:
        """Refuse every request but those of /health."""
        self.app = health_alone(self.app, self._connections.metrics)

    def refuse_connection(self) -> None:
        """Refuse it before it has said a word."""
        self.refuse(NO_ROOM)
        self.transport.close()

    def refuse(self, refusal: Refusal) -> None:
        """Answer what came last with a refusal, after the answers that are still due, and read no more requests."""
        if self._refusal is not None:
            return
        self._refusal = refusal
        self._connections.metrics.rejected.labels(refusal.kind).inc()
        if self.reading == BODY and not self._stop_last():
            self.transport.close()
        elif not self._is_answering():
            self._send_refusal(refusal)

    def _stop_last(self) -> bool:
        """Give up the request whose body does not come; False if there is an answer to it already, or half of one."""
        if self.cycle is not self._answered:
            self.pipeline.popleft()
            return True
        if self.cycle.response_started:
            return False
        self.cycle.scope["state"]["refused"] = int(self._refusal.status[:3]) if self._refusal else 0
        self._give_up()
        return True

    def _send_refusal(self, refusal: Refusal) -> None:
        self.transport.write(refusal.encoded())
        if self._ended:
            self.transport.close()
            return
        self.flow.resume_reading()
        self.loop.call_later(LINGER_S, self.transport.close)


class _Flow(FlowControl):
    """Reads no more while requests lie ready: else a caller who sends faster than is answered fills the memory."""

    def __init__(self, transport: asyncio.Transport, pipeline: Any) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Read on, unless there is something to answer first."""
        if not self._pipeline:
            super().resume_reading()
