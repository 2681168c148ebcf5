"""Tells tools such as grpcurl which services there are and what their messages look like."""

from typing import Any

import grpc

from gateway.rpc.messages import CLASSIFIER, HEALTH, INFERENCE, POOL, REFLECTION, message, request_of
from gateway.rpc.streams import Streams

ALPHA = REFLECTION.replace(".v1.", ".v1alpha.")
"""Most tools still ask by this name: the same messages, but for the name of their package."""
SERVICES = (CLASSIFIER, HEALTH, INFERENCE, REFLECTION)
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED.value[0]

Response = message("grpc.reflection.v1.ServerReflectionResponse")


def answer(request: Any) -> Any:
    """The answer to one question; of what there is not, an error within it."""
    response = Response(valid_host=request.host, original_request=request)
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        for name in SERVICES:
            response.list_services_response.service.add(name=name)
    elif kind in ("file_by_filename", "file_containing_symbol"):
        name = getattr(request, kind)
        try:
            found = POOL.FindFileByName(name) if kind == "file_by_filename" else _file_with(name)
        except KeyError:
            _refuse(response, NOT_FOUND, f"There is no {name[:100]!r} here: list_services names what there is.")
        else:
            response.file_descriptor_response.file_descriptor_proto.append(found.serialized_pb)
    elif kind in ("file_containing_extension", "all_extension_numbers_of_type"):
        _refuse(response, NOT_FOUND, "No message here has extensions.")
    else:
        _refuse(response, UNIMPLEMENTED, "That question is not known here.")
    return response


def _file_with(symbol: str) -> Any:
    """The file that describes a service, a method or a message. Raises KeyError: none does."""
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        return POOL.FindMethodByName(symbol).containing_service.file  # which the call above does not look for


def _refuse(response: Any, code: int, why: str) -> None:
    response.error_response.error_code = code
    response.error_response.error_message = why


class Reflection:
    """Answers `ServerReflectionInfo`."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    async def serve(self, context: Any) -> None:
        """Answer one question after the other."""
        kind = request_of(REFLECTION, "ServerReflectionInfo")
        while (request := await self._streams.next_message(context, kind)) is not None:
            await self._streams.send(context, answer(request))
