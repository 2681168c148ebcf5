"""The gateway's own endpoints, as FastAPI checks and documents them."""

import asyncio
import logging
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from gateway.answers import Answer, classify_sentence, classify_sentences
from gateway.bodies import JsonRoute
from gateway.encoding import Text
from gateway.errors import InvalidRequestError, NotReadyError
from gateway.middleware import record_of
from gateway.openmetrics import OPENMETRICS_TYPE, PLAIN_TYPE, prefers_openmetrics
from gateway.schemas import (
    LAST_VERSION,
    AnswerWithReceipt,
    ClassifyBody,
    ClassifyQuery,
    ErrorBody,
    Health,
    LabelScore,
    ModelName,
    Models,
)
from gateway.services import service_of, services_of
from gateway.web import REPORT_POLICY, page_of
from repository.bucket import AwayError
from repository.manifest import REPORT_PAGE, RepositoryError

logger = logging.getLogger(__name__)

UNKNOWN: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in (404, 422)}
"""Of a request for a model, or with what is no name of one."""

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
    service = service_of(request, query.model)
    return response_of(await classify_sentence(service, record_of(request.scope), text, query))


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
    service = service_of(request, body.model)
    return response_of(await classify_sentences(service, record_of(request.scope), texts, body))


@state_routes.get("/models", responses=UNKNOWN, summary="The versions of a model")
async def models(request: Request, model: Annotated[ModelName, Query()] = None) -> Models:
    """Every version that Triton knows, which one answers, and why others do not; and which models there are."""
    return services_of(request).models(model)


@state_routes.get(
    "/models/{version}/report",
    response_class=Response,  # HTMLResponse would make the errors HTML in the description, too
    responses={
        200: {"description": "The page.", "content": {"text/html": {"schema": {"type": "string"}}}},
        **{status: {"model": ErrorBody} for status in (401, 404, 422, 503)},
    },
    summary="How good a version is",
)
async def report(
    request: Request,
    version: Annotated[int, Path(ge=1, le=LAST_VERSION)],
    model: Annotated[ModelName, Query()] = None,
) -> Response:
    """The report that was written when the version's model was trained, as a page."""
    service = service_of(request, model)
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
    """Counts of all workers, in Prometheus's text format, or in OpenMetrics' where `Accept` prefers that."""
    openmetrics = prefers_openmetrics(request.headers.get("accept", ""))
    text = services_of(request).render_metrics(openmetrics)
    return Response(text, media_type=OPENMETRICS_TYPE if openmetrics else PLAIN_TYPE, headers={"Vary": "Accept"})


@open_routes.get("/health/live", summary="The process answers; says nothing of Triton")
async def live(request: Request) -> Health:
    """Always 200."""
    return Health(status="live", model=services_of(request).default.settings.model_name)


@open_routes.get("/health/ready", responses=UNKNOWN, summary="A sentence can be answered")
async def ready(request: Request, model: Annotated[ModelName, Query()] = None) -> Health:
    """200 with the current version of the model that is named, or of the first one that can answer; or 503."""
    services = services_of(request)
    service = services.ready() if model is None else services.of(model)
    return Health(status="ready", model=service.settings.model_name, version=service.versions.ready().number)
