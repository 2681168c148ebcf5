"""The gateway's own endpoints, as FastAPI checks and documents them."""

import asyncio
import logging
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from gateway.answers import Answer, classify_sentence, classify_sentences
from gateway.bodies import JsonRoute
from gateway.encoding import Text
from gateway.errors import InvalidRequestError, NotReadyError
from gateway.middleware import record_of
from gateway.schemas import (
    LAST_VERSION,
    AnswerWithReceipt,
    ClassifyBody,
    ClassifyQuery,
    ErrorBody,
    Health,
    LabelScore,
    Models,
)
from gateway.service import service_of
from gateway.web import REPORT_POLICY, page_of
from repository.bucket import AwayError
from repository.manifest import REPORT_PAGE, RepositoryError

logger = logging.getLogger(__name__)

classify_routes = APIRouter(tags=["classify"], route_class=JsonRoute)
state_routes = APIRouter(tags=["state"])
open_routes = APIRouter(tags=["state"])


def response_of(answer: Answer) -> Response:
    """The body is JSON already: FastAPI would check each score again, at several times the cost."""
    return Response(answer.body, answer.status, answer.headers, "application/json")


@classify_routes.get("/classify", response_model=list[LabelScore] | AnswerWithReceipt, summary="Classify one sentence")
async def classify(request: Request, query: Annotated[ClassifyQuery, Query()]) -> Response:
    """The label of a sentence, with its score."""
    # A request with nothing but a sentence does not get here: see gateway.fast_lane.
    if len(request.query_params.getlist("sentence")) > 1:
        raise InvalidRequestError("The sentence is given more than once: give one, or send several by POST.")
    text = Text(query.sentence, query.text_pair)
    return response_of(await classify_sentence(service_of(request), record_of(request.scope), text, query))


@classify_routes.post(
    "/classify",
    response_model=list[list[LabelScore]] | list[AnswerWithReceipt],
    summary="Classify many sentences",
)
async def classify_many(request: Request, body: ClassifyBody) -> Response:
    """For each sentence or pair, in order, what GET answers; all by the same version.

    The body is JSON, in UTF-8 or in the encoding that `Content-Type` names, and may be packed: `Content-Encoding: gzip`
    or `deflate`. Its length is counted unpacked.
    """
    texts = [Text(*parts) for parts in body.texts()]
    return response_of(await classify_sentences(service_of(request), record_of(request.scope), texts, body))


@state_routes.get("/models", summary="The versions of the model")
async def models(request: Request) -> Models:
    """Every version that Triton knows, which one answers, and why others do not."""
    return service_of(request).models()


@state_routes.get(
    "/models/{version}/report",
    response_class=Response,  # HTMLResponse would make the errors HTML in the description, too
    responses={
        200: {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **{status: {"model": ErrorBody} for status in (401, 404, 422, 503)},
    },
    summary="How good a version is",
)
async def report(request: Request, version: Annotated[int, Path(ge=1, le=LAST_VERSION)]) -> Response:
    """The report that was written when the version's model was trained, as a page."""
    service = service_of(request)
    try:
        page = await asyncio.to_thread(service.files.read, version, REPORT_PAGE) if service.settings.reports else None
    except AwayError:
        raise NotReadyError("The repository cannot be asked for the report now; try again shortly.") from None
    except (RepositoryError, OSError) as error:
        logger.error("The report of version %d cannot be read: %s", version, error)
        page = None
    if page is None:
        raise HTTPException(404, f"Version {version} has no report: GET /models names the versions that have one")
    return page_of(request, page, REPORT_POLICY)


@state_routes.get("/metrics", response_class=Response, summary="Prometheus metrics")
async def metrics(request: Request) -> Response:
    """Counts of all workers, in Prometheus's text format."""
    return Response(service_of(request).render_metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


@open_routes.get("/health/live", summary="The process answers; says nothing of Triton")
async def live(request: Request) -> Health:
    """Always 200."""
    return Health(status="live", model=service_of(request).settings.model_name)


@open_routes.get("/health/ready", summary="A sentence can be answered")
async def ready(request: Request) -> Health:
    """200 with the current version, or 503."""
    service = service_of(request)
    return Health(status="ready", model=service.settings.model_name, version=service.versions.ready().number)
