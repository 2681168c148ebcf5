"""Answers `POST /`, where Hugging Face's Inference Endpoints are asked, and TEI, which they run for classifiers.

Both take `inputs`, and read a list of texts differently. A body with `parameters`, which `huggingface_hub` always
sends, is read as the Inference API does: its answer has a list for each text. All others are TEI's.
"""

from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.answers import Answer
from gateway.dialects.manners import DialectRoute, Manner
from gateway.dialects.pipelines import (
    INPUTS_SHAPE,
    PARAMETERS_SHAPE,
    PipelineBody,
    PipelineErrorBody,
    PipelineParameters,
    classified,
    error_body,
)
from gateway.dialects.tei import TEI, PredictBody, TeiErrorBody, predicted
from gateway.errors import (
    BlankSentenceError,
    InvalidRequestError,
    ModelFailedError,
    OverloadedError,
    SentenceTooLongError,
    TooManySentencesError,
)
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.schemas import LabelScore, ModelName
from gateway.service import Service
from gateway.services import service_of

HUGGINGFACE = Manner(
    error_body,
    {
        BlankSentenceError: 400,
        InvalidRequestError: 400,
        SentenceTooLongError: 400,
        TooManySentencesError: 400,
        ModelFailedError: 500,
        OverloadedError: 429,
    },
    invalid=400,
    explained={"inputs": INPUTS_SHAPE, "parameters": PARAMETERS_SHAPE},
)
MANNER = "manner"
"""Where the state of a request says how it is refused, once its body is known; copies of its scope share that."""


Body = TypeVar("Body", bound=BaseModel)


class RootBody(BaseModel):
    """Inference Endpoints' request where it has `parameters`, else TEI's."""

    model_config = ConfigDict(extra="allow")

    inputs: Any = Field(description="A text; and what either takes.", examples=["Mapa aprende un nuevo lenguaje"])
    parameters: dict[str, Any] | None = Field(
        None, description="`top_k`, `function_to_apply`, `truncation`, `return_all_scores`, `padding`.", examples=[{}]
    )


class HuggingFaceRoute(DialectRoute):
    """The route at `/` where TEI is not spoken."""

    manner = HUGGINGFACE

    def manner_of(self, request: Request) -> Manner:
        """The manner in which this request is refused."""
        found = request.scope["state"].get(MANNER, self.manner)
        assert isinstance(found, Manner)
        return found


class RootRoute(HuggingFaceRoute):
    """The same where both are spoken: what cannot be told apart gets TEI's errors."""

    manner = TEI


def root_routes(dialects: frozenset[str]) -> APIRouter:
    """The route at `/`, for the dialects that are open."""
    both = {"tei", "huggingface"} <= dialects
    tei_only = "huggingface" not in dialects
    routes = APIRouter(tags=["huggingface"], route_class=RootRoute if both or tei_only else HuggingFaceRoute)

    @routes.post(
        "/",
        response_model=list[LabelScore] | list[list[LabelScore]],
        responses=_refusals(),
        summary="Classify texts, as Inference Endpoints and TEI do",
        include_in_schema=not tei_only,
    )
    async def root(request: Request, body: RootBody, model: Annotated[ModelName, Query()] = None) -> Response:
        """With `parameters`: a list of labels for each text, best first. Without: what `POST /predict` answers."""
        given = body.model_dump(exclude_unset=True)
        service, record = service_of(request, model), record_of(request.scope)
        if tei_only or (both and "parameters" not in given):
            return response_of(await predicted(service, record, _checked(PredictBody, given)))
        request.scope["state"][MANNER] = HUGGINGFACE
        return response_of(await _answer(service, record, _checked(PipelineBody, given)))

    return routes


async def _answer(service: Service, record: RequestRecord, body: PipelineBody) -> Answer:
    """A list of labels for each text, also for one, as the Inference API answers."""
    found = await classified(service, body)
    top_k = (body.parameters or PipelineParameters()).top_k
    return found.found.answer(record, [labels[:top_k] for labels in found.labels])


def _checked(kind: type[Body], given: dict[str, Any]) -> Body:
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors()], body=given
        ) from None


def _refusals() -> dict[int | str, dict[str, Any]]:
    statuses = {**HUGGINGFACE.openapi(PipelineErrorBody), **TEI.openapi(TeiErrorBody)}
    return {status: {"model": TeiErrorBody | PipelineErrorBody} for status in sorted(statuses, key=int)}
