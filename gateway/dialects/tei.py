"""Answers `POST /predict` as text-embeddings-inference (TEI) does for a sequence classifier, errors included.

The contract is what TEI's router does (`router/src/http/types.rs` and `server.rs` in its repository). Two things in it
surprise: `[a, b]` is one pair, never a batch of two, and `error_type` is capitalized, unlike in TEI's own OpenAPI.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StrictBool

from gateway.answers import Answer
from gateway.dialects.manners import DialectRoute, Fault, Manner
from gateway.dialects.scored import scored
from gateway.encoding import Text
from gateway.errors import (
    BlankSentenceError,
    BodyTooLongError,
    DeadlineExceededError,
    GatewayError,
    InvalidRequestError,
    MalformedBodyError,
    ModelFailedError,
    NotReadyError,
    OverloadedError,
    SentenceTooLongError,
    TooManySentencesError,
    UnknownModelError,
    UnsupportedMediaTypeError,
    VersionGoneError,
)
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.schemas import LabelScore, ModelName
from gateway.service import Service
from gateway.services import service_of
from gateway.tokenization import Side

ErrorType = Literal["Backend", "Empty", "Overloaded", "Unhealthy", "Validation"]

ERRORS: dict[type[GatewayError], tuple[int, ErrorType]] = {
    BlankSentenceError: (400, "Empty"),
    MalformedBodyError: (400, "Validation"),
    BodyTooLongError: (413, "Validation"),
    SentenceTooLongError: (413, "Validation"),
    TooManySentencesError: (413, "Validation"),
    UnsupportedMediaTypeError: (415, "Validation"),
    UnknownModelError: (404, "Validation"),
    InvalidRequestError: (422, "Validation"),
    ModelFailedError: (424, "Backend"),
    DeadlineExceededError: (424, "Backend"),
    OverloadedError: (429, "Overloaded"),
    NotReadyError: (503, "Unhealthy"),
    VersionGoneError: (503, "Unhealthy"),
}
"""TEI's status and type for each error. `UnauthorizedError` is not among them: TEI's 401 has no body to be like."""

SIDES: dict[str, Side] = {"Left": "left", "Right": "right"}

INPUTS_SHAPE = "inputs: give a text, a pair [text, text], or a batch of texts and pairs [[text], [text, text], ...]."

TextOrPair = Annotated[list[str], Field(min_length=1, max_length=2)]


class PredictBody(BaseModel):
    """TEI's PredictRequest. As there, unknown fields are ignored: its clients send some, such as `parameters`."""

    inputs: str | TextOrPair | Annotated[list[TextOrPair], Field(min_length=1)] = Field(
        description="A text, a pair of texts `[a, b]`, or a batch of both, `[[a], [a, b], ...]`.",
        examples=["Mapa aprende un nuevo lenguaje"],
    )
    truncate: StrictBool | None = Field(
        None, description="Cut a text at the model's limit; else such a one is answered with 413."
    )
    truncation_direction: Literal["Left", "Right"] | None = Field(
        None, description="Which end is cut off; if not given, the one that the model's tokenizer cuts, mostly `Right`."
    )
    raw_scores: StrictBool = Field(False, description="Answer with the logits, without softmax or sigmoid.")


class TeiErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")
    error_type: ErrorType


def _body(fault: Fault) -> dict[str, Any]:
    if fault.status == 401:  # TEI's has no body to be like
        return {"error": fault.message}
    error_type = ERRORS[fault.error][1] if fault.error in ERRORS else "Validation"
    return {"error": fault.message, "error_type": error_type}


TEI = Manner(
    _body,
    statuses={error: status for error, (status, _) in ERRORS.items()},
    # Pydantic names one of the three shapes only, whichever it tried first.
    explained={"inputs": INPUTS_SHAPE},
)


class TeiRoute(DialectRoute):
    """A route whose errors are TEI's."""

    manner = TEI


tei_routes = APIRouter(tags=["text-embeddings-inference"], route_class=TeiRoute)


@tei_routes.post(
    "/predict",
    response_model=list[LabelScore] | list[list[LabelScore]],
    responses={status: {"model": TeiErrorBody} for status in sorted({status for status, _ in ERRORS.values()})},
    summary="Classify texts or pairs, as TEI does",
)
async def predict(request: Request, body: PredictBody, model: Annotated[ModelName, Query()] = None) -> Response:
    """Every label with its score, best first: a list for a text or a pair, a list of such lists for a batch."""
    return response_of(await predicted(service_of(request, model), record_of(request.scope), body))


async def predicted(service: Service, record: RequestRecord, body: PredictBody) -> Answer:
    """The answer to a request of the right shape. Raises what `scored` raises."""
    sides, is_batch = _sides(body.inputs)
    truncate = body.truncate or False
    side = SIDES[body.truncation_direction] if truncate and body.truncation_direction else None
    texts = [Text(*parts) for parts in sides]
    found = await scored(service, texts, truncate=truncate, side=side, raw=body.raw_scores, windows=False)
    labels = found.ranked()
    return found.answer(record, labels if is_batch else labels[0])


def _sides(inputs: str | list[str] | list[list[str]]) -> tuple[list[list[str]], bool]:
    """The one or two sides of each text, and whether they came as a batch."""
    if isinstance(inputs, str):
        return [[inputs]], False
    batch = [item for item in inputs if isinstance(item, list)]
    return (batch, True) if batch else ([[item for item in inputs if isinstance(item, str)]], False)
