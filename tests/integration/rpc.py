"""Callers by gRPC: a channel, the methods as any client's stubs have them, and gateways that such callers reach."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from google.protobuf import message_factory

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import CLASSIFIER, HEALTH, INFERENCE, POOL, message
from tests.integration.gateways import Gateway, gateway_beside
from tests.integration.stack import Stack

ClassifyRequest = message("text_classifier.v1.ClassifyRequest")
HealthCheckRequest = message("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = message("grpc.health.v1.HealthCheckResponse")
ModelInferRequest = message("inference.ModelInferRequest")
CLASSIFY = f"/{CLASSIFIER}/Classify"


class Outcome(NamedTuple):
    """What became of a call."""

    reply: Any
    """None unless `code` is OK."""
    code: str
    details: str
    told: dict[str, str]
    """Trailing metadata."""


def stub(channel: Any, service: str, method: str) -> Any:
    """A method as generated stubs have it; of channels that block, and of `grpc.aio`."""
    described = POOL.FindServiceByName(service).methods_by_name[method]
    request, reply = (message_factory.GetMessageClass(each) for each in (described.input_type, described.output_type))
    make = channel.unary_stream if described.server_streaming else channel.unary_unary
    return make(f"/{service}/{method}", request.SerializeToString, reply.FromString)


def ask(method: Any, request: Any, **options: Any) -> Outcome:
    """Call it and take down what came, whatever it is."""
    try:
        reply, call = method.with_call(request, **{"timeout": 60, **options})
    except grpc.RpcError as error:
        return Outcome(None, error.code().name, error.details(), dict(error.trailing_metadata() or ()))
    return Outcome(reply, call.code().name, call.details(), dict(call.trailing_metadata()))


class Caller:
    """One channel to a gateway."""

    def __init__(self, port: int, options: Sequence[tuple[str, Any]] = ()) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
        self._classify = stub(self.channel, CLASSIFIER, "Classify")

    def classify(self, *sentences: str, **fields: Any) -> Outcome:
        """Ask for labels."""
        return self.send(ClassifyRequest(sentences=sentences, **fields))

    def send(self, request: Any, **options: Any) -> Outcome:
        """The same with a message, and with options of the call, such as `timeout` and `metadata`."""
        return ask(self._classify, request, **options)

    def infer(self, method: str, request: Any, **options: Any) -> Outcome:
        """Call a method of the Open Inference Protocol."""
        return ask(stub(self.channel, INFERENCE, method), request, **options)

    def health(self, name: str = "") -> Outcome:
        """Ask for the health of the gateway, or of a model."""
        return ask(stub(self.channel, HEALTH, "Check"), HealthCheckRequest(service=name))


def labels_of(outcome: Outcome) -> list[list[dict[str, Any]]]:
    """The answer as POST /classify has it in JSON."""
    assert outcome.code == "OK", outcome
    return [[{"label": one.label, "score": one.score} for one in result.labels] for result in outcome.reply.results]


@contextlib.contextmanager
def rpc_gateway(stack: Stack, log: Path, **settings: str) -> Iterator[tuple[Gateway, int]]:
    """One more gateway before the stack's Triton, and its port for gRPC."""
    (port,) = free_ports(1)
    with gateway_beside(stack, log, GRPC_PORT=str(port), **settings) as gateway:
        yield gateway, port
