"""Listens for callers by gRPC: the same process, event loop, models and limits as callers by HTTP have."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from gateway.connections import ConnectionLimits
from gateway.keys import KeyCheck
from gateway.rpc.calls import Answering, Calls
from gateway.rpc.classify import Classify
from gateway.rpc.codes import INFERENCE_CODES
from gateway.rpc.gone import leave_out_callers_who_are_gone
from gateway.rpc.health import Health
from gateway.rpc.inference import Inference
from gateway.rpc.messages import CLASSIFIER, HEALTH, INFERENCE, REFLECTION
from gateway.rpc.reflection import ALPHA, Reflection
from gateway.rpc.streams import Streams
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.tracing.parts import Tracing
from repository.addresses import host_and_port

logger = logging.getLogger(__name__)

DRAIN_S = 4
"""How long calls may still take when the gateway stops. Requests by HTTP have had their time by then, and whoever stops
the gateway waits 15 seconds for both."""
STREAMS_OF_A_CONNECTION = 1024
"""Calls at once over one connection; more wait at the caller's."""
OFTEN_PINGED_MS = 10_000
"""A caller that looks more often whether the connection still stands is cut off."""
PING_AFTER_MS, PING_ANSWERED_MS = 60_000, 20_000
"""When a caller who says nothing is asked whether it is still there, and how long it may take to say so."""


def options(settings: GatewaySettings) -> list[tuple[str, int]]:
    """gRPC's own bounds, from those that callers by HTTP have."""
    limits = ConnectionLimits.of(settings)
    return [
        ("grpc.so_reuseport", int(settings.workers > 1)),
        ("grpc.max_receive_message_length", settings.max_body_bytes),  # unpacked
        ("grpc.max_concurrent_streams", STREAMS_OF_A_CONNECTION),
        ("grpc.max_allowed_incoming_connections", limits.connections),
        ("grpc.server_handshake_timeout_ms", _ms(limits.head_s)),
        ("grpc.max_connection_idle_ms", _ms(limits.keep_alive_s)),
        ("grpc.keepalive_time_ms", PING_AFTER_MS),
        ("grpc.keepalive_timeout_ms", PING_ANSWERED_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", OFTEN_PINGED_MS),
    ]


def _ms(seconds: float) -> int:
    return max(1, min(2**31 - 1, round(1000 * seconds)))


@contextlib.asynccontextmanager
async def running_grpc(
    settings: GatewaySettings,
    services: Services,
    keys: Sequence[str],
    log: Callable[..., None] | None,
    tracing: Tracing | None = None,
) -> AsyncIterator[None]:
    """Answer callers by gRPC within the block; at its end new calls are refused, and those under way finish.

    Raises:
        RuntimeError: the port is taken.
    """
    handlers, streams = handlers_of(services, settings, keys, log, tracing)
    leave_out_callers_who_are_gone()
    server = grpc.aio.server(
        options=options(settings), maximum_concurrent_rpcs=ConnectionLimits.of(settings).connections
    )
    server.add_generic_rpc_handlers(handlers)
    address = host_and_port(settings.gateway_host, settings.grpc_port or 0)
    server.add_insecure_port(address)
    await server.start()
    logger.info("Callers by gRPC are answered at %s.", address)
    try:
        yield
    finally:
        streams.stopping.set()
        await server.stop(DRAIN_S)


def handlers_of(
    services: Services,
    settings: GatewaySettings,
    keys: Sequence[str],
    log: Callable[..., None] | None,
    tracing: Tracing | None = None,
) -> tuple[tuple[Any, ...], Streams]:
    """What answers each service, and the streams among its calls."""
    key_check = KeyCheck(list(keys)) if keys else None
    calls = Calls(services.metrics, log, key_check, settings.body_timeout_seconds, tracing)
    streams = Streams(calls, settings.send_timeout_seconds)
    inference = Inference(services)
    health = Health(services, streams, settings.version_poll_ms / 1000)
    reflection = streams.handler(Reflection(streams).serve)
    of_inference: dict[str, tuple[Answering, bool]] = {
        "ServerLive": (inference.server_live, True),
        "ServerReady": (inference.server_ready, True),
        "ModelReady": (inference.model_ready, True),
        "ServerMetadata": (inference.server_metadata, False),
        "ModelMetadata": (inference.model_metadata, False),
        "ModelInfer": (inference.model_infer, False),
    }
    found: dict[str, dict[str, Any]] = {
        CLASSIFIER: {"Classify": calls.handler(CLASSIFIER, "Classify", Classify(services))},
        INFERENCE: {
            method: calls.handler(INFERENCE, method, answer, is_open, INFERENCE_CODES)
            for method, (answer, is_open) in of_inference.items()
        },
        HEALTH: {
            "Check": calls.handler(HEALTH, "Check", health.check, is_open=True),
            "Watch": streams.handler(health.watch),
        },
        REFLECTION: {"ServerReflectionInfo": reflection},
        ALPHA: {"ServerReflectionInfo": reflection},
    }
    handlers = (grpc.method_handlers_generic_handler(service, methods) for service, methods in found.items())
    return tuple(handlers), streams
