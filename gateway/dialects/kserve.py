"""Answers KServe's v2 protocol (the Open Inference Protocol) as Triton does, with texts in place of token ids.

Triton itself speaks it behind the gateway, for tensors of tokens. Here the input is `text`, and the outputs are `label`
and `scores`: a client of Triton needs no tokenizer. Errors have Triton's shape, `{"error": "…"}`.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from gateway.bodies import unpacked_body, with_body
from gateway.dialects.kserve_answers import answer_bytes, asked_outputs
from gateway.dialects.kserve_schemas import (
    BINARY_LENGTH_HEADER,
    InferAnswer,
    InferBody,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from gateway.dialects.kserve_tensors import as_plain_json
from gateway.dialects.manners import DialectRoute, Fault, Manner
from gateway.dialects.scored import scored
from gateway.encoding import Text
from gateway.errors import (
    BlankSentenceError,
    InvalidRequestError,
    MalformedBodyError,
    ModelFailedError,
    NotReadyError,
    SentenceTooLongError,
    TooManySentencesError,
    UnknownModelError,
    UnknownVersionError,
    UnusedVersionError,
)
from gateway.middleware import record_of
from gateway.schemas import LAST_VERSION, ErrorBody
from gateway.service import Service
from gateway.services import service_of, services_of
from gateway.triton import READY

STATUSES = {
    BlankSentenceError: 400,
    InvalidRequestError: 400,
    SentenceTooLongError: 400,
    TooManySentencesError: 400,
    ModelFailedError: 500,
    UnknownVersionError: 404,
    UnusedVersionError: 503,
}
"""Triton's: 400 for whatever is wrong with a request, 404 for what there is not, 503 for what is not ready.

A model of which no version can answer is 503, too, where Triton says 404 unless a version is named: it passes.
"""

INPUTS_SHAPE = (
    "inputs: give one, the texts, like "
    '{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["one text", "another"]}.'
)


def _body(fault: Fault) -> dict[str, str]:
    return {"error": fault.message}


KSERVE = Manner(_body, STATUSES, invalid=400, explained={"inputs": INPUTS_SHAPE})

Version = Annotated[int, Path(ge=1, le=LAST_VERSION)]


class KserveRoute(DialectRoute):
    """A route whose errors are Triton's, and whose body may have binary data behind its JSON."""

    manner = KSERVE

    async def prepared(self, request: Request) -> Request:
        """The request as JSON alone. Raises GatewayError: what `unpacked_body` and `as_plain_json` raise."""
        if (declared := request.headers.get(BINARY_LENGTH_HEADER)) is None:
            return request
        if not (declared.isascii() and declared.isdecimal() and len(declared) < 19):
            raise MalformedBodyError(f"{BINARY_LENGTH_HEADER} has to be a number of bytes.")
        settings = services_of(request).settings
        body = await unpacked_body(request, settings.max_body_bytes)
        return with_body(request, as_plain_json(body, int(declared), settings.max_sentences))


kserve_routes = APIRouter(tags=["kserve"], route_class=KserveRoute)
kserve_open_routes = APIRouter(tags=["kserve"], route_class=KserveRoute)
_REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 401, 404, 503)}
_NOT_READY: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (400, 401)}
_INFER: dict[str, Any] = {
    "response_model": InferAnswer,
    "responses": {
        **KSERVE.openapi(ErrorBody),
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
    },
}


@kserve_open_routes.get("/v2/health/live", summary="The process answers, in the v2 protocol")
async def v2_live() -> Live:
    """Always 200."""
    return Live(live=True)


@kserve_open_routes.get("/v2/health/ready", responses=_NOT_READY, summary="A text can be answered, in the v2 protocol")
async def v2_ready(request: Request) -> Ready:
    """200 if any model can answer, else 400."""
    try:
        services_of(request).ready()
    except NotReadyError as error:
        raise InvalidRequestError(str(error)) from None
    return Ready(ready=True)


@kserve_routes.get("/v2", responses={401: {"model": ErrorBody}}, summary="The server, in the v2 protocol")
async def v2_server() -> ServerMetadata:
    """Its name, and the extensions of the protocol that it has."""
    return ServerMetadata(name="text-classifier", version="2", extensions=["binary_tensor_data"])


@kserve_routes.get("/v2/models/{name}/ready", responses=_NOT_READY, summary="A model can answer, in the v2 protocol")
async def v2_model_ready(request: Request, name: str) -> ModelReady:
    """200 if it can, else 400."""
    _check_ready(request, name, None)
    return ModelReady(name=name, ready=True)


@kserve_routes.get(
    "/v2/models/{name}/versions/{version}/ready",
    responses=_NOT_READY,
    summary="A version can answer, in the v2 protocol",
)
async def v2_version_ready(request: Request, name: str, version: Version) -> ModelReady:
    """200 if it can, else 400."""
    _check_ready(request, name, version)
    return ModelReady(name=name, ready=True)


@kserve_routes.get(
    "/v2/models/{name}",
    responses=_REFUSED,
    response_model_exclude_none=True,
    summary="Inputs and outputs, in the v2 protocol",
)
async def v2_model(request: Request, name: str) -> ModelMetadata:
    """What a request gives and gets, of the version that answers at present."""
    service = service_of(request, name)
    current = service.versions.ready()
    return _metadata(service, current.manifest.labels, _served(service))


@kserve_routes.get(
    "/v2/models/{name}/versions/{version}",
    responses=_REFUSED,
    response_model_exclude_none=True,
    summary="The same of one version, in the v2 protocol",
)
async def v2_version(request: Request, name: str, version: Version) -> ModelMetadata:
    """What a request gives and gets, of one version."""
    service = service_of(request, name)
    return _metadata(service, service.labels_of(version), [version])


@kserve_routes.post("/v2/models/{name}/infer", **_INFER, summary="Classify texts, in the v2 protocol")
async def v2_infer(request: Request, name: str, body: InferBody) -> Response:
    """The best label and all scores of each text; binary data is taken and given as Triton does."""
    return await _infer(request, name, None, body)


@kserve_routes.post(
    "/v2/models/{name}/versions/{version}/infer", **_INFER, summary="Ask one version, in the v2 protocol"
)
async def v2_infer_version(request: Request, name: str, version: Version, body: InferBody) -> Response:
    """The same of one version, one that `GET /models` calls `current`, `candidate` or `ready`."""
    return await _infer(request, name, version, body)


async def _infer(request: Request, name: str, version: int | None, body: InferBody) -> Response:
    service = service_of(request, name)
    texts = [Text(text) for text in body.texts(name)]
    outputs = asked_outputs(body, name)
    found = await scored(service, texts, version=version)
    answer = found.answer(record_of(request.scope), None)
    content, json_bytes = answer_bytes(body, outputs, found, name)
    headers = dict(answer.headers)
    media_type = "application/json"
    if json_bytes is not None:
        headers[BINARY_LENGTH_HEADER] = str(json_bytes)
        media_type = "application/octet-stream"
    return Response(content, 200, headers, media_type)


def _check_ready(request: Request, name: str, version: int | None) -> None:
    try:
        service = service_of(request, name)
        service.versions.ready()
        if version is not None:
            service.classifier.check_version(version)
    except (NotReadyError, UnknownModelError, UnknownVersionError, UnusedVersionError) as error:
        raise InvalidRequestError(str(error)) from None


def _served(service: Service) -> list[int]:
    """The versions that may be asked, oldest first."""
    unused = service.versions.failures()
    pinned = service.settings.model_version
    ready = {each.number for each in service.versions.states if each.state == READY}
    return sorted(number for number in ready - set(unused) if pinned in (None, number))


def _metadata(service: Service, labels: list[str], versions: list[int]) -> ModelMetadata:
    return ModelMetadata(
        name=service.settings.model_name,
        versions=[str(number) for number in versions],
        platform="text-classifier",
        inputs=[TensorMetadata(name="text", datatype="BYTES", shape=[-1])],
        outputs=[
            TensorMetadata(name="label", datatype="BYTES", shape=[-1]),
            TensorMetadata(name="scores", datatype="FP32", shape=[-1, len(labels)], labels=labels),
        ],
    )
