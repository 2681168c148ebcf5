"""The HTTP application: routes, and the translation of errors into answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from gateway.classifier import Classifier
from gateway.errors import RETRY_AFTER_S, STATUS
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient
from gateway.versions import VersionFollower

VERSION_HEADER = "X-Model-Version"


class LabelScore(BaseModel):
    """One label and its score."""

    label: str
    score: float


class ErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")


class Health(BaseModel):
    """State of the gateway."""

    status: str
    model: str
    version: int | None = Field(None, description="The version that answers at present.")


def create_app(settings: GatewaySettings) -> FastAPI:
    """The application for one model; it follows that model's versions while it runs."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with TritonClient(settings.triton_address, settings.model_name) as triton:
            folder = settings.model_repository / settings.model_name
            versions = VersionFollower(triton, folder, settings.version_poll_ms / 1000)
            app.state.versions = versions
            app.state.classifier = Classifier(
                triton, versions, settings.deadline_ms / 1000, settings.max_sentence_bytes
            )
            follower = asyncio.create_task(versions.run())
            yield
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower

    app = FastAPI(
        title="Text classifier",
        description="Answers a sentence with the label of a fine-tuned classifier served by Triton.",
        lifespan=lifespan,
    )
    app.add_exception_handler(RequestValidationError, _answer_validation_error)
    for error in STATUS:
        app.add_exception_handler(error, _answer_gateway_error)
    _add_routes(app, settings.model_name)
    return app


def _add_routes(app: FastAPI, model_name: str) -> None:
    failures: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody} for status in sorted(set(STATUS.values()))
    }

    @app.get("/classify", responses=failures, summary="Classify one sentence")
    async def classify(
        request: Request,
        response: Response,
        sentence: Annotated[
            str,
            Query(
                description="An idea's title and its mind map's title, joined by a space. "
                "One pair of quotes around the whole is ignored.",
                examples=["Mapa aprende un nuevo lenguaje"],
            ),
        ],
    ) -> list[LabelScore]:
        classifier: Classifier = request.app.state.classifier
        answer = await classifier.classify(sentence)
        response.headers[VERSION_HEADER] = str(answer.version)
        return [LabelScore(label=answer.label, score=answer.score)]

    @app.get("/health/live", summary="The process answers; says nothing of Triton")
    async def live() -> Health:
        return Health(status="live", model=model_name)

    @app.get("/health/ready", responses={503: {"model": ErrorBody}}, summary="A sentence can be answered")
    async def ready(request: Request) -> Health:
        versions: VersionFollower = request.app.state.versions
        return Health(status="ready", model=model_name, version=versions.ready().number)


async def _answer_gateway_error(_: Request, error: Exception) -> JSONResponse:
    status = STATUS[type(error)]  # type: ignore[index]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return JSONResponse({"error": str(error)}, status, headers)


async def _answer_validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = " ".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"The {where} parameter is wrong: {first['msg']}."}, 422)
