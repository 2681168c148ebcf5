"""Answers `POST /classify` with a body of Infinity's, which has `input` where the gateway's own has `sentences`.

It is looked at only once a body turned out not to be the gateway's own, so that those pay nothing for it. The contract
is `infinity_emb/infinity_server.py` and `fastapi_schemas` in Infinity's repository.
"""

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StrictBool, StringConstraints, ValidationError

from gateway.answers import Answer
from gateway.dialects.manners import Fault, Manner
from gateway.dialects.scored import scored
from gateway.encoding import Text
from gateway.errors import (
    BlankSentenceError,
    GatewayError,
    ModelFailedError,
    OverloadedError,
    SentenceTooLongError,
    TooManySentencesError,
    UnknownModelError,
    VersionGoneError,
)
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.schemas import LabelScore, invalid_kind
from gateway.service import Service
from gateway.services import service_of, services_of

PATH = "/classify"
MARK = "input"
"""The field that Infinity's body has, and the gateway's own has not."""
OWN = ("sentences", "pairs", "ideas")
JSON = "application/json"
UNNAMED = "default/not-specified"


class InfinityBody(BaseModel):
    """Infinity's ClassifyInput. As there, unknown fields are ignored, and white space around a text is."""

    input: Annotated[list[Annotated[str, StringConstraints(strip_whitespace=True)]], Field(min_length=1)] = Field(
        examples=[["Mapa aprende un nuevo lenguaje"]]
    )
    model: str = Field(UNNAMED, description="Where one model is served, any name means it.")
    raw_scores: StrictBool = Field(False, description="Answer with the logits, without softmax or sigmoid.")


class InfinityUsage(BaseModel):
    """What was read, in tokens."""

    prompt_tokens: int
    total_tokens: int


class InfinityAnswer(BaseModel):
    """Infinity's ClassifyResult."""

    object: Literal["classify"]
    data: list[list[LabelScore]]
    model: str
    usage: InfinityUsage
    id: str
    created: int


class InfinityError(BaseModel):
    """What is wrong."""

    message: str
    type: str | None
    param: str | None
    code: int


class InfinityErrorBody(BaseModel):
    """Body of an answer that is no success, but 422."""

    error: InfinityError


def _body(fault: Fault) -> dict[str, Any]:
    return {"error": {"message": fault.message, "type": None, "param": None, "code": fault.status}}


class InfinityMistake(BaseModel):
    """What is wrong with a field."""

    type: str
    loc: list[str | int]
    msg: str


class InfinityInvalidBody(BaseModel):
    """Body of an answer with 422."""

    detail: list[InfinityMistake]


INFINITY = Manner(
    _body,
    {
        BlankSentenceError: 400,
        SentenceTooLongError: 400,
        TooManySentencesError: 422,
        UnknownModelError: 400,
        OverloadedError: 429,
        ModelFailedError: 500,
        VersionGoneError: 503,
    },
)


def is_infinitys(request: Request, error: RequestValidationError) -> bool:
    """Whether a body that is none of the gateway's own is one of Infinity's."""
    body = error.body
    return (
        request.method == "POST"
        and request.scope["path"] == PATH
        and isinstance(body, Mapping)
        and MARK in body
        and not any(name in body for name in OWN)
    )


async def answer_infinity(request: Request, error: RequestValidationError) -> Response:
    """The answer to a request of which `is_infinitys` says that it is."""
    rejected = services_of(request).metrics.rejected
    try:
        body = InfinityBody.model_validate(error.body)
        answer = await _answer(_service(request, body.model), record_of(request.scope), body)
    except ValidationError as wrong:
        rejected.labels(invalid_kind(error)).inc()
        return _invalid(wrong)
    except GatewayError as wrong:
        fault = INFINITY.fault(wrong)
        rejected.labels(fault.kind).inc()
        return INFINITY.response(fault)
    return response_of(answer)


def describe(api: dict[str, Any]) -> None:
    """Add to a description of the gateway what Infinity's callers send to its `POST /classify`, and get."""
    operation = api["paths"][PATH]["post"]
    schemas = api["components"]["schemas"]
    for model in (InfinityBody, InfinityAnswer, InfinityErrorBody, InfinityInvalidBody):
        described = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas[model.__name__] = described
    _or(operation["requestBody"], InfinityBody)
    answers = operation["responses"]
    for status, words in ((429, "Too Many Requests"), (500, "Internal Server Error")):
        answers.setdefault(str(status), {"description": words, "content": {JSON: {"schema": _ref(InfinityErrorBody)}}})
    for status, answer in answers.items():
        if status not in ("429", "500"):
            _or(answer, InfinityAnswer if status == "200" else InfinityErrorBody)
    _or(answers["422"], InfinityInvalidBody)


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _or(holder: dict[str, Any], model: type[BaseModel]) -> None:
    """Let a body be of this model, too."""
    content = holder["content"][JSON]
    known = content["schema"]
    others = known.get("anyOf", [known])
    if _ref(model) not in others:
        content["schema"] = {"anyOf": [*others, _ref(model)]}


def _service(request: Request, model: str) -> Service:
    """As Infinity finds a model: where there is one alone, its name doesn't matter."""
    is_only = len(services_of(request).all()) == 1
    return service_of(request, None if is_only or model == UNNAMED else model)


async def _answer(service: Service, record: RequestRecord, body: InfinityBody) -> Answer:
    found = await scored(service, [Text(text) for text in body.input], raw=body.raw_scores)
    content = {
        "object": "classify",
        "data": found.ranked(),
        "model": service.settings.model_name,
        "usage": {"prompt_tokens": found.tokens, "total_tokens": found.tokens},
        "id": f"infinity-{record.request_id}",
        "created": int(time.time()),
    }
    return found.answer(record, content)


def _invalid(error: ValidationError) -> Response:
    """FastAPI's own answer to such a body, which is Infinity's."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    shown = {"type": first["type"], "loc": ["body", *first["loc"]], "msg": first["msg"]}
    return JSONResponse({"detail": [shown]}, 422)
