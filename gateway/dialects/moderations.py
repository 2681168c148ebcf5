"""Answers `POST /v1/moderations` as OpenAI's API does, with the labels of a multi-label model as its categories."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from gateway.answers import Answer
from gateway.dialects.openai_style import OPENAI, OpenAIErrorBody, OpenAIRoute
from gateway.dialects.scored import Scored, Scores, scored, version_now
from gateway.encoding import Text
from gateway.errors import InvalidRequestError
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.service import Service
from gateway.services import service_of
from repository.manifest import Manifest, ProblemType


class TextPart(BaseModel):
    """A text of an input in parts."""

    type: Literal["text"]
    text: str


class ModerationBody(BaseModel):
    """OpenAI's CreateModerationRequest. As there, unknown fields are ignored."""

    input: str | Annotated[list[str], Field(min_length=1)] | Annotated[list[TextPart], Field(min_length=1)] = Field(
        description="A text, several texts with a result each, or parts of one input, which get one result together: "
        "the highest score that any part has.",
        examples=["Mapa aprende un nuevo lenguaje"],
    )
    model: str | None = Field(None, description="One of those in `GET /v1/models`; the first if not given.")


class Moderation(BaseModel):
    """The result for one input."""

    flagged: bool = Field(description="Whether any label reaches its threshold.")
    categories: dict[str, bool] = Field(description="Whether each label does.")
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[Literal["text"]]]


class ModerationAnswer(BaseModel):
    """OpenAI's CreateModerationResponse."""

    id: str
    model: str
    results: list[Moderation]


moderation_routes = APIRouter(tags=["openai"], route_class=OpenAIRoute)


@moderation_routes.post(
    "/v1/moderations",
    response_model=ModerationAnswer,
    responses=OPENAI.openapi(OpenAIErrorBody),
    summary="Which of several labels are true of texts, as OpenAI's moderation answers",
)
async def moderate(request: Request, body: ModerationBody) -> Response:
    """For each text whether each label is true, by the thresholds that `GET /classify` answers by, and all scores."""
    return response_of(await _answer(service_of(request, body.model), record_of(request.scope), body))


async def _answer(service: Service, record: RequestRecord, body: ModerationBody) -> Answer:
    refuse_others(version_now(service).manifest)
    given = [body.input] if isinstance(body.input, str) else body.input
    texts = [each if isinstance(each, str) else each.text for each in given]
    found = await scored(service, [Text(text) for text in texts])
    refuse_others(found.manifest)  # another version may have become current meanwhile
    in_parts = not isinstance(given[0], str)
    rows = [np.max(found.scores, axis=0)] if in_parts else found.scores
    content = {
        "id": f"modr-{record.request_id}",
        "model": service.settings.model_name,
        "results": [_result(found, row) for row in rows],
    }
    return found.answer(record, content)


def refuse_others(manifest: Manifest) -> None:
    """Raise InvalidRequestError for a model that does not say of each label by itself whether it is true."""
    if manifest.problem_type is not ProblemType.MULTI_LABEL:
        what = "a number" if manifest.problem_type is ProblemType.REGRESSION else "one label"
        raise InvalidRequestError(
            f"This model answers {what}, and moderations are of models that answer several: ask GET or POST /classify."
        )


def _result(found: Scored, scores: Scores) -> dict[str, Any]:
    labels = found.manifest.labels
    reached: list[bool] = (scores >= found.thresholds()).tolist()
    return {
        "flagged": any(reached),
        "categories": dict(zip(labels, reached, strict=True)),
        "category_scores": dict(zip(labels, map(float, scores), strict=True)),
        "category_applied_input_types": {label: ["text"] for label in labels},
    }
