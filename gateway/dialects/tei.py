"""Answers `POST /predict` as text-embeddings-inference (TEI) does for a sequence classifier, errors included.

The contract is what TEI's router does (`router/src/http/types.rs` and `server.rs` in its repository). Two things in it
surprise: `[a, b]` is one pair, never a batch of two, and `error_type` is capitalized, unlike in TEI's own OpenAPI.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, StrictBool
from starlette.exceptions import HTTPException

from gateway.answers import ACCEPTED_CODINGS, Answer, answer_of, refuse_too_many
from gateway.bodies import JsonRoute
from gateway.encoding import Text
from gateway.errors import (
    RETRY_AFTER_S,
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
    kind_of,
)
from gateway.meaning.labels import shown_scores
from gateway.middleware import RequestRecord, record_of
from gateway.ranking import ALL_LABELS, ranked
from gateway.routes import response_of
from gateway.schemas import LabelScore, ModelName, invalid_kind
from gateway.service import Service
from gateway.services import service_of, services_of
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

PASSING = (429, 503)
"""Statuses of errors that pass by themselves."""

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


class TeiRoute(JsonRoute):
    """A route whose errors are answered in TEI's words, while the other routes keep the gateway's own."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            rejected = services_of(request).metrics.rejected
            try:
                return await handle(request)
            except RequestValidationError as error:
                rejected.labels(invalid_kind(error)).inc()
                return _invalid(error)
            except HTTPException as error:  # a body that cannot be read
                rejected.labels(kind_of(error.status_code)).inc()
                return _error_response(error.status_code, "Validation", f"{error.detail}.")
            except GatewayError as error:
                if type(error) not in ERRORS:
                    raise
                rejected.labels(kind_of(error)).inc()
                return _error_response(*ERRORS[type(error)], str(error))

        return handle_or_explain


tei_routes = APIRouter(tags=["text-embeddings-inference"], route_class=TeiRoute)


@tei_routes.post("/", include_in_schema=False)  # where `huggingface_hub.InferenceClient(address)` sends it
@tei_routes.post(
    "/predict",
    response_model=list[LabelScore] | list[list[LabelScore]],
    responses={status: {"model": TeiErrorBody} for status in sorted({status for status, _ in ERRORS.values()})},
    summary="Classify texts or pairs, as TEI does",
)
async def predict(request: Request, body: PredictBody, model: Annotated[ModelName, Query()] = None) -> Response:
    """Every label with its score, best first: a list for a text or a pair, a list of such lists for a batch."""
    return response_of(await _answer(service_of(request, model), record_of(request.scope), body))


async def _answer(service: Service, record: RequestRecord, body: PredictBody) -> Answer:
    """The answer to a request of the right shape.

    Raises:
        TooManySentencesError: the batch is larger than the setting allows.
        GatewayError: what `Classifier.predict` raises.
    """
    sides, is_batch = _sides(body.inputs)
    refuse_too_many(len(sides), service.settings.max_sentences)
    truncate = body.truncate or False
    side = SIDES[body.truncation_direction] if truncate and body.truncation_direction else None
    calibrated = service.settings.calibrated and not body.raw_scores
    texts = [Text(*parts) for parts in sides]
    predictions = await service.classifier.predict(texts, truncate, side, alone=calibrated)
    manifest = predictions.version.manifest
    shown = [item.logits for item in predictions.items] if body.raw_scores else shown_scores(predictions, calibrated)
    labels = [ranked(scores, manifest, ALL_LABELS, threshold=0.0) for scores in shown]
    logged = [" | ".join(parts) for parts in sides]
    return answer_of(service, record, predictions, logged, labels if is_batch else labels[0])


def _sides(inputs: str | list[str] | list[list[str]]) -> tuple[list[list[str]], bool]:
    """The one or two sides of each text, and whether they came as a batch."""
    if isinstance(inputs, str):
        return [[inputs]], False
    batch = [item for item in inputs if isinstance(item, list)]
    return (batch, True) if batch else ([[item for item in inputs if isinstance(item, str)]], False)


def _invalid(error: RequestValidationError) -> Response:
    first = error.errors()[0]
    where = [str(part) for part in first["loc"][1:]]
    if first["type"] == "json_invalid":
        return _error_response(400, "Validation", "The body is not valid JSON.")
    if where[:1] == ["inputs"]:
        # Pydantic names one of the three shapes only, whichever it tried first.
        return _error_response(422, "Validation", INPUTS_SHAPE)
    return _error_response(422, "Validation", f"{'.'.join(where) or 'body'}: {first['msg']}.")


def _error_response(status: int, error_type: ErrorType, message: str) -> Response:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in PASSING else {}
    if status == 415:
        headers["Accept-Encoding"] = ACCEPTED_CODINGS
    return JSONResponse({"error": message, "error_type": error_type}, status, headers)
