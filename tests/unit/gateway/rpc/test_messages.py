"""What is checked in is what the protos say, everything in them is answered, and others' messages are not disturbed."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import service_pb2

from gateway.batcher import Batcher
from gateway.errors import GatewayError
from gateway.metrics import Metrics
from gateway.rpc.codes import CODES
from gateway.rpc.messages import CLASSIFIER, DESCRIPTORS, HEALTH, INFERENCE, POOL, REFLECTION, message
from gateway.rpc.server import handlers_of, options
from gateway.schemas import Options
from gateway.services import Services
from gateway.settings import GatewaySettings
from tests.places import ROOT

PROTOS = ROOT / "gateway" / "rpc" / "protos"


def test_the_descriptors_are_those_of_the_protos(tmp_path: Path) -> None:
    names = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    assert len(names) == 4
    made = tmp_path / "messages.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTOS), "--include_imports", "-o", str(made)]
    subprocess.run([*command, *names], check=True)
    by_name = [
        {file.name: file for file in descriptor_pb2.FileDescriptorSet.FromString(content).file}
        for content in (made.read_bytes(), DESCRIPTORS.read_bytes())
    ]
    assert by_name[0] == by_name[1], "compile them anew: gateway/rpc/messages.py says how"


def test_every_method_of_the_protos_is_answered_and_no_other() -> None:
    settings = GatewaySettings(grpc_port=1)
    answered = {
        handler.service_name(): set(handler._method_handlers)
        for handler in handlers_of(Services(settings, Metrics()), settings, [], None)[0]
    }
    for service in (CLASSIFIER, INFERENCE, HEALTH, REFLECTION):
        methods = POOL.FindServiceByName(service).methods_by_name
        assert answered[service] == {f"/{service}/{method}" for method in methods}
    assert len(answered) == 5, "and reflection by its older name"


def test_fields_have_the_numbers_and_types_of_tritons_own() -> None:
    compared = 0
    for name, theirs in service_pb2.DESCRIPTOR.message_types_by_name.items():
        try:
            ours = message(f"inference.{name}").DESCRIPTOR
        except KeyError:
            continue
        for field in ours.fields:
            other = theirs.fields_by_name[field.name]
            assert (field.number, field.type, field.is_repeated) == (other.number, other.type, other.is_repeated)
            compared += 1
        for part in ours.nested_types:
            other = theirs.nested_types_by_name[part.name]
            assert {f.name: f.number for f in part.fields} == {f.name: f.number for f in other.fields}
    assert compared > 40


def test_every_option_of_a_request_by_http_has_a_field() -> None:
    fields = {field.name for field in message("text_classifier.v1.ClassifyRequest").DESCRIPTOR.fields}
    assert fields == {*Options.model_fields, "sentences", "pairs"}


def errors_below(error: type[GatewayError]) -> set[type[GatewayError]]:
    return {error, *(found for each in error.__subclasses__() for found in errors_below(each))}


def test_every_error_of_the_gateway_has_a_code() -> None:
    assert Batcher  # what is imported there declares no error of its own
    assert set(CODES) == errors_below(GatewayError) - {GatewayError}


@pytest.mark.parametrize(("workers", "shared"), [(1, 0), (3, 1)])
def test_the_bounds_are_those_of_callers_by_http(workers: int, shared: int) -> None:
    settings = GatewaySettings(
        grpc_port=1, workers=workers, max_connections=7, max_body_bytes=99, head_timeout_seconds=3
    )
    found = dict(options(settings))
    assert found["grpc.so_reuseport"] == shared, "else a second gateway could listen on a port that is taken"
    assert found["grpc.max_allowed_incoming_connections"] == 7
    assert found["grpc.max_receive_message_length"] == 99
    assert found["grpc.server_handshake_timeout_ms"] == 3000
