"""Answers gRPC's health checks as GET /health/ready does, for the gateway and for each model."""

from typing import Any

from gateway.errors import MalformedBodyError, NotReadyError, UnknownModelError
from gateway.rpc.calls import NO_MESSAGE, Call
from gateway.rpc.messages import CLASSIFIER, HEALTH, INFERENCE, message, request_of
from gateway.rpc.streams import Streams
from gateway.services import Services

Response = message("grpc.health.v1.HealthCheckResponse")
ANY_MODEL = ("", CLASSIFIER, INFERENCE)
"""Names under which the gateway itself is asked for; all others are models."""


class Health:
    """Whether there is who answers."""

    def __init__(self, services: Services, streams: Streams, poll_s: float) -> None:
        """Take whose health it is, what keeps watches, and how often these look."""
        self._services = services
        self._streams = streams
        self._poll_s = poll_s

    def status(self, name: str) -> int:
        """Of the gateway, or of a model. Raises UnknownModelError: there is nothing of that name."""
        if self._streams.stopping.is_set():
            return int(Response.NOT_SERVING)
        try:
            if name in ANY_MODEL:
                self._services.ready()
            else:
                self._services.of(name).versions.ready()
        except NotReadyError:
            return int(Response.NOT_SERVING)
        return int(Response.SERVING)

    async def check(self, call: Call) -> Any:
        """The status now. Raises UnknownModelError: there is nothing of that name."""
        return Response(status=self.status(call.message.service))

    async def watch(self, context: Any) -> None:
        """The status now, and again whenever it is another one, until the gateway stops."""
        request = await self._streams.next_message(context, request_of(HEALTH, "Watch"))
        if request is None:
            raise MalformedBodyError(NO_MESSAGE)
        told: int | None = None
        stopping = False
        while True:
            try:
                status = self.status(request.service)
            except UnknownModelError:
                status = int(Response.SERVICE_UNKNOWN)  # until there is
            if status != told:
                await self._streams.send(context, Response(status=status))
                told = status
            if stopping:
                return
            stopping = await self._streams.stopped_within(self._poll_s)
