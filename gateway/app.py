"""The HTTP application: routes put together, and errors turned into answers."""

import contextlib
import hmac
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from gateway.answers import TRUNCATED_HEADER, VERSION_HEADER, error_answer
from gateway.errors import STATUS, GatewayError, UnauthorizedError
from gateway.fast_lane import FastLane
from gateway.memory import limit_arenas
from gateway.metrics import Metrics
from gateway.middleware import UNFORESEEN, BodyLimit, Observed, request_log
from gateway.routes import classify_routes, open_routes, response_of, state_routes
from gateway.schemas import ErrorBody
from gateway.service import ServiceHolder, running_service
from gateway.settings import GatewaySettings
from gateway.tei import tei_routes
from gateway.web import add_docs, web_routes

FAILURES: dict[int | str, dict[str, Any]] = {status: {"model": ErrorBody} for status in sorted({*STATUS.values(), 400})}


def create_app(settings: GatewaySettings) -> ASGIApp:
    """The application for one model; it follows that model's versions while it runs."""
    metrics = Metrics()
    holder = ServiceHolder()
    keys = _listed(settings.api_keys.get_secret_value())
    app: ASGIApp = _fastapi(settings, metrics, holder, keys)
    if not keys:
        app = FastLane(app, holder)
    if origins := _listed(settings.cors_origins):
        app = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=[VERSION_HEADER, TRUNCATED_HEADER, "X-Request-ID", "Retry-After"],
        )
    return Observed(app, metrics, request_log().info if settings.log_requests else None)


def application() -> ASGIApp:
    """The application with its settings from the environment, for uvicorn's worker processes."""
    limit_arenas()
    return create_app(GatewaySettings())


def _fastapi(settings: GatewaySettings, metrics: Metrics, holder: ServiceHolder, keys: list[str]) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running_service(settings, metrics) as service:
            holder.service = service
            app.state.holder = holder
            yield

    app = FastAPI(
        title="Text classifier",
        description="Answers a sentence with the label of a fine-tuned classifier served by Triton.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit, most_bytes=settings.max_body_bytes)
    protection = [Depends(_KeyCheck(keys))] if keys else []
    app.include_router(classify_routes, dependencies=protection, responses=FAILURES)
    app.include_router(tei_routes, dependencies=protection)
    app.include_router(state_routes, dependencies=protection)
    app.include_router(open_routes, responses={503: FAILURES[503]})
    app.include_router(web_routes)
    add_docs(app)
    _answer_errors(app, metrics)
    return app


class _KeyCheck:
    """Dependency that lets only callers with one of the keys pass."""

    def __init__(self, keys: list[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def __call__(
        self, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]
    ) -> None:
        given = credentials.credentials.encode() if credentials else b""
        # In constant time: how long it takes must not tell how much of a key was right.
        if not any(hmac.compare_digest(given, key) for key in self._keys):
            raise UnauthorizedError("The API key is missing or wrong: send it in the header Authorization: Bearer KEY.")


def _answer_errors(app: FastAPI, metrics: Metrics) -> None:
    async def gateway_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return response_of(error_answer(error, metrics))

    async def validation_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}."}, 422)

    async def http_error(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": f"{error.detail}."}, error.status_code, error.headers)

    async def unforeseen(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"error": UNFORESEEN}, 500)

    app.add_exception_handler(GatewayError, gateway_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unforeseen)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
