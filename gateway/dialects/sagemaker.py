"""Answers Amazon SageMaker as Hugging Face's container does there: `GET /ping`, `POST /invocations`.

The container calls a text-classification pipeline; its body is that of Inference Endpoints, or a table of texts. Errors
have the shape of the model server that it runs in.
"""

import csv
import io
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from gateway.answers import Answer
from gateway.bodies import in_utf_8, unpacked_body, with_body
from gateway.dialects.manners import DialectRoute, Fault, Manner
from gateway.dialects.pipelines import INPUTS_SHAPE, PARAMETERS_SHAPE, PipelineBody, as_pipeline, classified
from gateway.errors import (
    BlankSentenceError,
    InvalidRequestError,
    MalformedBodyError,
    ModelFailedError,
    SentenceTooLongError,
    TooManySentencesError,
    UnsupportedMediaTypeError,
)
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.schemas import LabelScore, ModelName
from gateway.service import Service
from gateway.services import service_of, services_of

TARGET_HEADER = "X-Amzn-SageMaker-Target-Model"
"""Which of several models is asked, as SageMaker passes on the caller's `TargetModel`."""
CSV, JSON_LINES = "text/csv", ("application/jsonlines", "application/x-ndjson", "application/jsonl")
COLUMN = "inputs"

TYPES = {404: "ModelNotFoundException", 405: "MethodNotAllowedException", 503: "ServiceUnavailableException"}


class SageMakerErrorBody(BaseModel):
    """Body of every answer that is no success."""

    code: int
    type: str
    message: str


class Pong(BaseModel):
    """That texts can be answered."""

    status: str


def _body(fault: Fault) -> dict[str, Any]:
    kind = TYPES.get(fault.status, "InternalServerException" if fault.status >= 500 else "BadRequestException")
    return {"code": fault.status, "type": kind, "message": fault.message}


SAGEMAKER = Manner(
    _body,
    {
        BlankSentenceError: 400,
        InvalidRequestError: 400,
        SentenceTooLongError: 400,
        TooManySentencesError: 400,
        ModelFailedError: 500,
    },
    invalid=400,
    explained={"inputs": INPUTS_SHAPE, "parameters": PARAMETERS_SHAPE},
)


class SageMakerRoute(DialectRoute):
    """A route whose errors are those of SageMaker's model server, and whose body may be a table or lines."""

    manner = SAGEMAKER

    async def prepared(self, request: Request) -> Request:
        """The request in JSON. Raises GatewayError: what `unpacked_body`, `inputs_of_csv` and `inputs_of_lines` do."""
        given = request.headers.get("content-type", "")
        media_type = given.partition(";")[0].strip().lower()
        if media_type != CSV and media_type not in JSON_LINES:
            return request
        settings = services_of(request).settings
        body = in_utf_8(await unpacked_body(request, settings.max_body_bytes), given)
        read = inputs_of_csv if media_type == CSV else inputs_of_lines
        try:
            inputs = read(body.decode("utf-8-sig"), settings.max_sentences)
        except UnicodeDecodeError:
            raise MalformedBodyError("The body is not UTF-8.") from None
        return with_body(request, json.dumps({"inputs": inputs}).encode())


sagemaker_routes = APIRouter(tags=["sagemaker"], route_class=SageMakerRoute)
sagemaker_open_routes = APIRouter(tags=["sagemaker"], route_class=SageMakerRoute)
_UNHEALTHY: dict[int | str, dict[str, Any]] = {503: {"model": SageMakerErrorBody}}


@sagemaker_open_routes.get("/ping", responses=_UNHEALTHY, summary="A text can be answered, for SageMaker")
async def ping(request: Request) -> Pong:
    """200 if any model can answer, else 503."""
    services_of(request).ready()
    return Pong(status="Healthy")


@sagemaker_routes.post(
    "/invocations",
    response_model=list[LabelScore] | list[list[LabelScore]] | LabelScore,
    responses=SAGEMAKER.openapi(SageMakerErrorBody),
    summary="Classify texts, as Hugging Face's container on SageMaker does",
)
async def invocations(request: Request, body: PipelineBody, model: Annotated[ModelName, Query()] = None) -> Response:
    """What `transformers.pipeline("text-classification")` returns for the inputs and parameters.

    The body is JSON, a CSV (`text/csv`) with a column `inputs`, or a line of JSON for each text
    (`application/jsonlines`). The header `X-Amzn-SageMaker-Target-Model` names a model as `model` does.
    """
    service = service_of(request, model or request.headers.get(TARGET_HEADER))
    _check_accepted(request.headers.get("accept", ""))
    return response_of(await _answer(service, record_of(request.scope), body))


async def _answer(service: Service, record: RequestRecord, body: PipelineBody) -> Answer:
    found = await classified(service, body)
    return found.found.answer(record, as_pipeline(body, found.labels, found.found.manifest.labels))


def _check_accepted(accept: str) -> None:
    """Raise UnsupportedMediaTypeError where the caller wants something else than JSON."""
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",") if part.strip()]
    if wanted and not {"*/*", "application/*", "application/json"} & set(wanted):
        raise UnsupportedMediaTypeError(f"Accept: {accept[:100]} is not answered: take application/json.")


def inputs_of_csv(text: str, most: int) -> list[str]:
    """The texts of a table's column `inputs`; its first line names the columns.

    Raises:
        InvalidRequestError: there is no such column, or no text.
        TooManySentencesError: there are more than `most`.
    """
    found: list[str] = []
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if COLUMN not in (rows.fieldnames or ()):
            raise InvalidRequestError(f"The table has no column {COLUMN}: name it in the first line.")
        for row in rows:
            if len(found) == most:
                raise TooManySentencesError(f"The table has more than {most} texts, which is the most that is taken.")
            found.append(row[COLUMN] or "")
    except csv.Error as error:
        raise InvalidRequestError(f"The table cannot be read: {error}.") from None
    if not found:
        raise InvalidRequestError("The table has no text below its first line.")
    return found


def inputs_of_lines(text: str, most: int) -> list[Any]:
    """What `inputs` is on each line; a line is an object with it, or a text.

    Raises:
        InvalidRequestError: a line is not so, or there is none.
        TooManySentencesError: there are more than `most`.
    """
    found: list[Any] = []
    # Not splitlines(): a text in JSON may hold the other signs that end a line.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        if len(found) == most:
            raise TooManySentencesError(f"The body has more than {most} lines, which is the most that is taken.")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise InvalidRequestError(f"Line {number} is not JSON.") from None
        only_inputs = isinstance(value, dict) and set(value) == {COLUMN}
        if only_inputs:
            value = value[COLUMN]
        if not isinstance(value, str | dict) or (not only_inputs and isinstance(value, dict) and COLUMN in value):
            raise InvalidRequestError(f'Line {number} has to be {{"inputs": "a text"}}, and no parameters.')
        found.append(value)
    if not found:
        raise InvalidRequestError("The body has no line.")
    return found
