"""What the servers that speak as OpenAI's API have in common: how they refuse, and how they list models."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from gateway.dialects.manners import DialectRoute, Fault, Manner
from gateway.errors import (
    BlankSentenceError,
    InvalidRequestError,
    ModelFailedError,
    NotReadyError,
    OverloadedError,
    SentenceTooLongError,
    TooManySentencesError,
    UnauthorizedError,
    UnknownModelError,
    VersionGoneError,
)
from gateway.service import Service
from gateway.services import service_of, services_of

STATUSES = {
    BlankSentenceError: 400,
    InvalidRequestError: 400,
    SentenceTooLongError: 400,
    TooManySentencesError: 400,
    ModelFailedError: 500,
    OverloadedError: 429,
    NotReadyError: 503,
    VersionGoneError: 503,
}
"""Where OpenAI's statuses are not the gateway's: its clients know 400, and try again after 429 and from 500 on."""

CODES = {
    UnknownModelError: "model_not_found",
    UnauthorizedError: "invalid_api_key",
    OverloadedError: "rate_limit_exceeded",
}

ErrorType = Literal["invalid_request_error", "rate_limit_error", "server_error"]


class OpenAIError(BaseModel):
    """What is wrong."""

    message: str = Field(description="One sentence: what is wrong, and what would be right.")
    type: ErrorType
    param: str | None = Field(description="The field of the body that is wrong, if it is one.")
    code: str | None


class OpenAIErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: OpenAIError


def _body(fault: Fault) -> dict[str, Any]:
    kind: ErrorType = "invalid_request_error"
    if fault.status == 429:
        kind = "rate_limit_error"
    elif fault.status >= 500:
        kind = "server_error"
    code = CODES.get(fault.error) if fault.error is not None else None
    return {"error": {"message": fault.message, "type": kind, "param": fault.parameter, "code": code}}


OPENAI = Manner(
    _body,
    STATUSES,
    invalid=400,
    explained={"input": "input: give a text, a list of texts, or a list of parts of the type `text`; no images."},
)


class OpenAIRoute(DialectRoute):
    """A route whose errors are OpenAI's."""

    manner = OPENAI


class ModelCard(BaseModel):
    """One of the models that are served, as OpenAI's API and vLLM list them."""

    id: str = Field(description="What `model` names it in a request.")
    object: Literal["model"] = "model"
    created: int = Field(description="When the version that answers was exported, in seconds since 1970; 0 if none.")
    owned_by: str = "text-classifier"
    root: str | None = Field(None, description="The checkpoint that the version was exported from.")
    parent: str | None = None
    max_model_len: int | None = Field(None, description="Longest sequence that the model reads, in tokens.")


class ModelList(BaseModel):
    """All models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


openai_models = APIRouter(tags=["openai"], route_class=OpenAIRoute)
_REFUSED: dict[int | str, dict[str, Any]] = {status: {"model": OpenAIErrorBody} for status in (401, 404)}


@openai_models.get(
    "/v1/models", responses={401: {"model": OpenAIErrorBody}}, summary="The models, as OpenAI's API lists them"
)
async def list_models(request: Request) -> ModelList:
    """Every model that this gateway serves, the default first."""
    return ModelList(data=[_card(service) for service in services_of(request).all()])


@openai_models.get("/v1/models/{model}", responses=_REFUSED, summary="One model, as OpenAI's API tells of it")
async def retrieve_model(request: Request, model: str) -> ModelCard:
    """One of the models that this gateway serves."""
    return _card(service_of(request, model))


def _card(service: Service) -> ModelCard:
    current = service.versions.current
    if current is None:
        return ModelCard(id=service.settings.model_name, created=0)
    manifest = current.manifest
    return ModelCard(
        id=service.settings.model_name,
        created=int(manifest.created_at.timestamp()),
        root=manifest.source,
        max_model_len=manifest.max_length,
    )
