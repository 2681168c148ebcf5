"""Answers `POST /v1/classify` as vLLM does for a classification model; SGLang's clients send and read the same.

The contract is `vllm/entrypoints/pooling/classify` in vLLM's repository. What it also reads, token ids and chats, is
refused: a classifier is asked texts.
"""

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from gateway.answers import Answer
from gateway.dialects.manners import DialectRoute, Fault, Manner
from gateway.dialects.openai_style import STATUSES
from gateway.dialects.scored import Scored, scored, version_now
from gateway.encoding import Text
from gateway.errors import InvalidRequestError
from gateway.middleware import RequestRecord, record_of
from gateway.routes import response_of
from gateway.service import Service
from gateway.services import service_of

TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    429: "RateLimitError",
    503: "ServiceUnavailableError",
}
"""vLLM names an error by its status."""

INPUT_SHAPE = "input: give a text or a list of texts; token ids and chat messages are not read here."


class VllmClassifyBody(BaseModel):
    """vLLM's ClassificationRequest. As there, unknown fields are ignored."""

    model: str | None = Field(None, description="One of those in `GET /v1/models`; the first if not given.")
    input: str | Annotated[list[str], Field(min_length=1)] = Field(examples=["Mapa aprende un nuevo lenguaje"])
    truncate_prompt_tokens: Annotated[StrictInt, Field(ge=-1)] | None = Field(
        None,
        description="`-1`, or the model's limit: cut a text there; else such a one is refused. A smaller number is a "
        "bound that no text may pass.",
    )
    add_special_tokens: Literal[True] = Field(True, description="A classifier needs them.")
    use_activation: StrictBool | None = Field(None, description="`false`: logits in place of probabilities.")
    softmax: StrictBool | None = Field(None, description="An older name of `use_activation`.")
    activation: StrictBool | None = Field(None, description="Another older name.")
    priority: Literal[0] = Field(0, description="Requests are answered in the order in which they come.")


class Classification(BaseModel):
    """The answer to one text."""

    index: int
    label: str = Field(description="The label with the highest score.")
    probs: list[float] = Field(description="The scores of all labels, in the order of the model's logits.")
    num_classes: int


class Usage(BaseModel):
    """What was read."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0
    prompt_tokens_details: None = None


class VllmClassifyAnswer(BaseModel):
    """vLLM's ClassificationResponse."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Classification]
    usage: Usage


class VllmError(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: int


class VllmErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: VllmError


def _body(fault: Fault) -> dict[str, Any]:
    kind = TYPES.get(fault.status, "InternalServerError" if fault.status >= 500 else "BadRequestError")
    return {"error": {"message": fault.message, "type": kind, "param": fault.parameter, "code": fault.status}}


VLLM = Manner(_body, STATUSES, invalid=400, explained={"input": INPUT_SHAPE})


class VllmRoute(DialectRoute):
    """A route whose errors are vLLM's."""

    manner = VLLM


vllm_routes = APIRouter(tags=["vllm"], route_class=VllmRoute)


@vllm_routes.post(
    "/v1/classify",
    response_model=VllmClassifyAnswer,
    responses=VLLM.openapi(VllmErrorBody),
    summary="Classify texts, as vLLM and SGLang do",
)
async def vllm_classify(request: Request, body: VllmClassifyBody) -> Response:
    """The best label and all scores of each text."""
    return response_of(await _answer(service_of(request, body.model), record_of(request.scope), body))


async def _answer(service: Service, record: RequestRecord, body: VllmClassifyBody) -> Answer:
    texts = [Text(text) for text in ([body.input] if isinstance(body.input, str) else body.input)]
    raw = False in (body.use_activation, body.softmax, body.activation)
    found = await scored(service, texts, truncate=_cuts(service, body), raw=raw, windows=False)
    _refuse_longer(found, body.truncate_prompt_tokens)
    content = {
        "id": f"classify-{record.request_id}",
        "object": "list",
        "created": int(time.time()),
        "model": service.settings.model_name,
        "data": [
            {
                "index": index,
                "label": found.manifest.labels[int(scores.argmax())],
                "probs": scores.tolist(),
                "num_classes": len(scores),
            }
            for index, scores in enumerate(found.scores)
        ],
        "usage": {
            "prompt_tokens": found.tokens,
            "total_tokens": found.tokens,
            "completion_tokens": 0,
            "prompt_tokens_details": None,
        },
    }
    return found.answer(record, content)


def _cuts(service: Service, body: VllmClassifyBody) -> bool:
    """Whether a long text is cut. Raises InvalidRequestError: it is to be cut past the model's limit."""
    asked = body.truncate_prompt_tokens
    if asked is None:
        return False
    limit = version_now(service).manifest.max_length
    if asked > limit:
        raise InvalidRequestError(f"truncate_prompt_tokens: {asked} is more than the model reads, {limit}.")
    return asked in (-1, limit)


def _refuse_longer(found: Scored, asked: int | None) -> None:
    """Raise InvalidRequestError where a text would have to be cut before the model's limit."""
    if asked is None or asked == -1 or asked == found.manifest.max_length:
        return
    longest = max(item.tokens for item in found.predictions.items)
    if longest > asked:
        raise InvalidRequestError(
            f"truncate_prompt_tokens: a text has {longest} tokens, and texts are cut at the model's limit alone, "
            f"{found.manifest.max_length}: send -1."
        )
