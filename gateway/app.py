"""The HTTP application: routes put together, and errors turned into answers."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway.answers import ANSWERED_BY_HEADER, TRUNCATED_HEADER, VERSION_HEADER, error_answer
from gateway.connections import watched_connections
from gateway.dialects.infinity import answer_infinity, is_infinitys
from gateway.dialects.infinity import describe as describe_infinity
from gateway.dialects.names import chosen
from gateway.dialects.opened import manner_at, opened
from gateway.errors import OF_FEEDBACK, OF_JOBS, STATUS, GatewayError, kind_of
from gateway.fast_lane import FastLane
from gateway.feedback.routes import feedback_routes
from gateway.jobs.routes import job_routes
from gateway.keys import KeyCheck
from gateway.logs import configure_logging, request_log
from gateway.meaning.labels import CALIBRATED_HEADER, COVERAGE_HEADER
from gateway.memory import limit_arenas
from gateway.metrics import Metrics
from gateway.middleware import UNFORESEEN, BodyLimit, Observed
from gateway.receipts.routes import receipt_routes
from gateway.routes import classify_routes, open_routes, response_of, state_routes
from gateway.schemas import ErrorBody, invalid_kind
from gateway.services import Services, ServicesHolder, running_services
from gateway.settings import GatewaySettings, listed
from gateway.tracing.parts import Tracing
from gateway.tracing.switch import start_tracing
from gateway.web import docs_routes, web_routes
from gateway.windows.request import WINDOWS_HEADER
from repository.log_queue import drain_output

FAILURES: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in sorted({*STATUS.values(), 400})}
ALLOWED_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "X-Request-ID",
    "traceparent",
    "tracestate",
]
"""Of pages of other origins."""
PAGE_AT_ROOT = {
    "tags": ["web"],
    "summary": "The page",
    "operationId": "page",
    "responses": {"200": {"description": "HTML.", "content": {"text/html": {"schema": {"type": "string"}}}}},
}
"""What a browser gets where POST is another server's route."""


def create_app(settings: GatewaySettings) -> ASGIApp:
    """The application for the models of the settings; it follows their versions while it runs."""
    metrics = Metrics()
    tracing = start_tracing(metrics)
    holder = ServicesHolder()
    keys = listed(settings.api_keys.get_secret_value())
    log = request_log().info if settings.log_requests else None
    app: ASGIApp = _fastapi(settings, metrics, holder, keys, log, tracing)
    if not keys:
        app = FastLane(app, holder)
    if origins := listed(settings.cors_origins):
        app = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST", *(["DELETE"] if settings.jobs is not None else [])],
            allow_headers=ALLOWED_HEADERS,
            expose_headers=[
                VERSION_HEADER,
                TRUNCATED_HEADER,
                WINDOWS_HEADER,
                ANSWERED_BY_HEADER,
                CALIBRATED_HEADER,
                COVERAGE_HEADER,
                "X-Request-ID",
                "Retry-After",
            ],
        )
    return Observed(app, metrics, log, tracing)


def application() -> ASGIApp:
    """The application with its settings from the environment, for uvicorn's worker processes."""
    limit_arenas()
    configure_logging()  # here, for uvicorn starts workers anew, without what its own process has set up
    return create_app(GatewaySettings())


def _grpc(
    settings: GatewaySettings,
    services: Services,
    keys: list[str],
    log: Callable[..., None] | None,
    tracing: Tracing | None,
) -> contextlib.AbstractAsyncContextManager[None]:
    """Callers by gRPC, where they are wanted; else nothing of it is imported."""
    if settings.grpc_port is None:
        return contextlib.nullcontext()
    from gateway.rpc.server import running_grpc

    return running_grpc(settings, services, keys, log, tracing)


def _fastapi(
    settings: GatewaySettings,
    metrics: Metrics,
    holder: ServicesHolder,
    keys: list[str],
    log: Callable[..., None] | None,
    tracing: Tracing | None,
) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with (
            running_services(settings, metrics, tracing) as services,
            watched_connections(settings, metrics) as connections,
            contextlib.AsyncExitStack() as beside,
            _grpc(settings, services, keys, log, tracing),
        ):
            holder.services = services
            if settings.jobs is not None:
                from gateway.jobs.running import running_jobs  # readers of tables: only where there are any

                services.jobs = await beside.enter_async_context(running_jobs(settings.jobs, services, metrics))
            app.state.holder = holder
            yield {"connections": connections}  # for gateway.protocol
        if tracing is not None:
            tracing.close()
        drain_output()  # uvicorn ends the process by the signal that stopped it, which leaves nothing time to be done

    app = FastAPI(
        title="Text classifier",
        description="Answers a sentence with the label of a fine-tuned classifier served by Triton.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to where, only a proxy in front knows
        # FastAPI's own spans have the query in them, and with it the sentence: gateway.tracing is in their place.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    larger = {"/jobs": settings.jobs_max_bytes} if settings.jobs is not None else {}
    app.add_middleware(BodyLimit, most_bytes=settings.max_body_bytes, larger=larger)
    dialects = chosen(settings.dialects)
    routers = _include_routes(app, keys, dialects)
    _answer_errors(app, metrics, _methods(routers), dialects)
    _describe(app, dialects)
    return app


def _include_routes(app: FastAPI, keys: list[str], dialects: frozenset[str]) -> list[APIRouter]:
    """Put all routes in, those of sentences and of what is known behind a key where there are any."""
    protection = [Depends(KeyCheck(keys))] if keys else []
    of_sentences = {status: answer for status, answer in FAILURES.items() if status not in OF_FEEDBACK | OF_JOBS}
    of_feedback = {status: answer for status, answer in FAILURES.items() if status not in OF_JOBS}
    app.include_router(classify_routes, dependencies=protection, responses=of_sentences)
    spoken = opened(dialects)
    for routes in spoken.protected:
        app.include_router(routes, dependencies=protection)
    for routes in spoken.public:
        app.include_router(routes)
    app.include_router(feedback_routes, dependencies=protection, responses=of_feedback)
    for routes in (behind_keys := [job_routes, state_routes, receipt_routes]):
        app.include_router(routes, dependencies=protection)
    app.include_router(open_routes, responses={503: FAILURES[503]})
    app.include_router(web_routes)
    app.include_router(docs := docs_routes())
    own = [classify_routes, feedback_routes, *behind_keys, open_routes, web_routes, docs]
    return [*own, *spoken.protected, *spoken.public]


def _describe(app: FastAPI, dialects: frozenset[str]) -> None:
    """Leave out of the description a 422 that FastAPI adds by itself and no route answers; add Infinity's bodies."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        found = described()
        for operation in (each for path in found["paths"].values() for each in path.values()):
            answer = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
            if answer.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
                del operation["responses"]["422"]
        if "/" in found["paths"]:
            found["paths"]["/"]["get"] = PAGE_AT_ROOT
        if "infinity" in dialects:
            describe_infinity(found)
        return found

    app.openapi = openapi  # type: ignore[method-assign]


def _methods(routers: Iterable[APIRouter]) -> dict[str, str]:
    """The methods of each path, as the header Allow lists them; Starlette names those of one route alone."""
    found: dict[str, set[str]] = {"/openapi.json": {"GET"}}
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        found.setdefault(route.path, set()).update(route.methods or ())
    return {
        path: ", ".join(sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
        for path, methods in found.items()
    }


def _answer_errors(app: FastAPI, metrics: Metrics, methods: dict[str, str], dialects: frozenset[str]) -> None:
    speaks_infinity = "infinity" in dialects

    async def gateway_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return response_of(error_answer(error, metrics))

    async def validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        if speaks_infinity and is_infinitys(request, error):
            return await answer_infinity(request, error)
        metrics.rejected.labels(invalid_kind(error)).inc()
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}."}, 422)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        # A path with a number in it is known by its template.
        path = str(getattr(request.scope.get("route"), "path", request.scope["path"]))
        if error.status_code == 405 and (allowed := methods.get(path)):
            headers["Allow"] = allowed
            if request.method == "OPTIONS":
                return Response(status_code=204, headers=headers)
        metrics.rejected.labels(kind_of(error.status_code)).inc()
        if (manner := manner_at(path, dialects)) is not None:
            return manner.response(replace(manner.fault(error), headers=headers))
        return JSONResponse({"error": f"{error.detail}."}, error.status_code, headers)

    async def unforeseen(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": UNFORESEEN}, 500)

    app.add_exception_handler(GatewayError, gateway_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unforeseen)
