"""Which messages are spoken by gRPC? Those of `protos/`, compiled into `messages.binpb`:

    python -m grpc_tools.protoc -I gateway/rpc/protos --include_imports -o gateway/rpc/messages.binpb PROTO...

What is checked in are descriptors and not Python modules: docs/decisions/descriptors-in-a-pool-of-their-own.md.
"""

from importlib.resources import files
from typing import Any

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

DESCRIPTORS = files("gateway") / "rpc" / "messages.binpb"

CLASSIFIER = "text_classifier.v1.Classifier"
INFERENCE = "inference.GRPCInferenceService"
HEALTH = "grpc.health.v1.Health"
REFLECTION = "grpc.reflection.v1.ServerReflection"


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:  # what is imported first
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _pool()
"""Not the default one: `tritonclient.grpc`, in the same process, has messages of the same names there."""


def message(name: str) -> Any:
    """The class of a message, by its full name. Raises KeyError: there is none of that name."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))


def request_of(service: str, method: str) -> Any:
    """The class of what a method is asked with. Raises KeyError: there is no such method."""
    found = POOL.FindServiceByName(service).methods_by_name[method]
    return message_factory.GetMessageClass(found.input_type)
