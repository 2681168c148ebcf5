"""TEI's routes beside `/predict`: what is served, whether it answers, and how its tokenizer reads a text."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field, StrictBool
from pydantic_core import to_json

from gateway.answers import refuse_too_many
from gateway.dialects.scored import version_now
from gateway.dialects.tei import TEI, TeiErrorBody, TeiRoute
from gateway.encoding import bytes_of, name_of
from gateway.errors import BlankSentenceError, SentenceTooLongError
from gateway.loaded_version import LoadedVersion
from gateway.schemas import ModelName
from gateway.services import service_of, services_of
from repository.manifest import MODEL_FILE, Precision

DTYPES = {Precision.FP32: "float32", Precision.FP16: "float16", Precision.INT8: "int8"}
LARGEST_ID = 2**32 - 1

Id = Annotated[int, Field(ge=0, le=LARGEST_ID, strict=True)]
Ids = list[Id]


class Classifier(BaseModel):
    """TEI's ClassifierModel."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(BaseModel):
    """TEI's ModelType, of which a classifier is one."""

    classifier: Classifier


class Info(BaseModel):
    """TEI's Info; what it calls requests are sentences here."""

    model_id: str = Field(description="Name of the model.")
    model_sha: str | None = Field(description="SHA-256 of the version's graph.")
    model_dtype: str
    model_type: ModelType
    max_concurrent_requests: int = Field(description="`MAX_WAITING`.")
    max_input_length: int = Field(description="Longest sequence that the model reads, in tokens.")
    max_batch_tokens: int = Field(description="`BATCH_TOKENS`.")
    max_batch_requests: int | None = Field(description="`BATCH_SENTENCES`.")
    max_client_batch_size: int = Field(description="`MAX_SENTENCES`.")
    auto_truncate: bool = Field(description="Always false: a request says it.")
    tokenization_workers: int = Field(description="`WORKERS`.")
    version: str = Field(description="The model's version that answers at present.")
    sha: str | None = None
    docker_label: str | None = None


class TokenizeBody(BaseModel):
    """TEI's TokenizeRequest."""

    inputs: str | Annotated[list[str], Field(min_length=1)] = Field(examples=["Mapa aprende un nuevo lenguaje"])
    add_special_tokens: StrictBool = True


class Token(BaseModel):
    """TEI's SimpleToken; `start` and `stop` are places in the text, in characters."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class DecodeBody(BaseModel):
    """TEI's DecodeRequest."""

    ids: Ids | Annotated[list[Ids], Field(min_length=1)] = Field(examples=[[101, 102]])
    skip_special_tokens: StrictBool = True


tei_model_routes = APIRouter(tags=["text-embeddings-inference"], route_class=TeiRoute)
tei_open_routes = APIRouter(tags=["text-embeddings-inference"], route_class=TeiRoute)

UNHEALTHY: dict[int | str, dict[str, Any]] = {status: {"model": TeiErrorBody} for status in (401, 404, 422, 503)}
REFUSED = TEI.openapi(TeiErrorBody, 404)


@tei_model_routes.get("/info", responses=UNHEALTHY, summary="The model, as TEI tells of one")
async def info(request: Request, model: Annotated[ModelName, Query()] = None) -> Info:
    """What TEI's router says of a classifier, of the version that answers at present."""
    service = service_of(request, model)
    version = service.versions.ready()
    manifest, settings = version.manifest, service.settings
    labels = manifest.labels
    return Info(
        model_id=settings.model_name,
        model_sha=manifest.files[MODEL_FILE].sha256,
        model_dtype=DTYPES[manifest.precision],
        model_type=ModelType(
            classifier=Classifier(
                id2label={str(place): label for place, label in enumerate(labels)},
                label2id={label: place for place, label in enumerate(labels)},
            )
        ),
        max_concurrent_requests=settings.max_waiting,
        max_input_length=manifest.max_length,
        max_batch_tokens=settings.batch_tokens,
        max_batch_requests=settings.batch_sentences,
        max_client_batch_size=settings.max_sentences,
        auto_truncate=False,
        tokenization_workers=settings.workers,
        version=str(version.number),
    )


@tei_model_routes.post("/tokenize", response_model=list[list[Token]], responses=REFUSED, summary="Tokens of texts")
async def tokenize(request: Request, body: TokenizeBody, model: Annotated[ModelName, Query()] = None) -> Response:
    """What the version's tokenizer makes of each text, all of it: nothing is cut."""
    service = service_of(request, model)
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    refuse_too_many(len(texts), service.settings.max_sentences)
    _check(texts, service.settings.max_sentence_bytes)
    version = version_now(service)
    # As it is: FastAPI would check each token once more.
    content = await asyncio.to_thread(_tokens, version, texts, body.add_special_tokens)
    return Response(content, media_type="application/json")


@tei_model_routes.post("/decode", response_model=list[str], responses=REFUSED, summary="Texts of tokens")
async def decode(request: Request, body: DecodeBody, model: Annotated[ModelName, Query()] = None) -> list[str]:
    """The text of each list of ids; ids that the vocabulary does not have are left out."""
    service = service_of(request, model)
    flat = [each for each in body.ids if isinstance(each, int)]
    lists = [flat] if flat else [each for each in body.ids if isinstance(each, list)]
    if not lists:
        raise BlankSentenceError("ids: give at least one.")
    refuse_too_many(len(lists), service.settings.max_sentences)
    tokenizer = version_now(service).tokenizers.whole
    return await asyncio.to_thread(
        lambda: [str(text) for text in tokenizer().decode_batch(lists, skip_special_tokens=body.skip_special_tokens)]
    )


@tei_open_routes.get("/health", response_class=Response, responses=UNHEALTHY, summary="A text can be answered")
async def health(request: Request, model: Annotated[ModelName, Query()] = None) -> Response:
    """200 without a body, or 503."""
    services = services_of(request)
    service = services.ready() if model is None else services.of(model)
    service.versions.ready()
    return Response()


def _check(texts: list[str], most_bytes: int) -> None:
    """Raise InvalidRequestError or SentenceTooLongError: an answer is some hundred times as large as its texts."""
    total = sum(bytes_of(text, name_of(place, len(texts))) for place, text in enumerate(texts))
    if total > most_bytes:
        raise SentenceTooLongError(f"The texts have {total} bytes together; at most {most_bytes} are taken.")


def _tokens(version: LoadedVersion, texts: list[str], with_special: bool) -> bytes:
    encodings = version.tokenizers.whole().encode_batch(texts, add_special_tokens=with_special)
    return to_json([_shown(encoding, text) for encoding, text in zip(encodings, texts, strict=True)])


def _shown(encoding: Any, text: str) -> list[dict[str, Any]]:
    """The fields of each `Token`."""
    parts = zip(encoding.ids, encoding.tokens, encoding.offsets, encoding.special_tokens_mask, strict=True)
    return [
        {"id": number, "text": token, "special": True, "start": None, "stop": None}
        if special
        else {"id": number, "text": text[start:stop], "special": False, "start": start, "stop": stop}
        for number, token, (start, stop), special in parts
    ]
