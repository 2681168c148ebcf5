"""From a request's sentences to the body and headers of its answer; knows HTTP's words, but no web framework."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from gateway.classifier import Predictions, unquote
from gateway.encoding import Text
from gateway.errors import RETRY_AFTER_S, STATUS, GatewayError, InvalidRequestError, TooManySentencesError, kind_of
from gateway.meaning.labels import headers_of
from gateway.meaning.thresholds import thresholds_of
from gateway.meaning.wish import Wish
from gateway.metrics import Metrics
from gateway.middleware import RequestRecord
from gateway.ranking import LabelScore, ranked
from gateway.schemas import PLAIN, Options
from gateway.service import Service
from gateway.windows.request import WINDOWS_HEADER, windows_header, windows_wanted
from repository.spelling import as_called

VERSION_HEADER = "X-Model-Version"
TRUNCATED_HEADER = "X-Truncated"
ANSWERED_BY_HEADER = "X-Answered-By"
"""Of a version with a student: `student`, `model`, or `both` where a request's sentences were dealt between them."""
ACCEPTED_CODINGS = "gzip, deflate"
"""What a body may be packed by (RFC 9110, 12.5.3)."""
NO_RECEIPTS = as_called(
    "This gateway signs no receipts: leave `receipt` out, or start it with RECEIPT_KEY, a file that "
    "`python -m gateway receipt-key` makes."
)

PLAIN_RECEIPTS = (
    "A receipt is of the scores as the model gives them: leave `calibrated`, `min_score`, `unknown` and `coverage` "
    "out, and ask with `calibrated=false` where the server calibrates."
)
WHOLE_RECEIPTS = "A receipt is of texts that are read at once: ask with `long_text=truncate`, or send the parts."


@dataclass(frozen=True)
class Answer:
    """An HTTP answer whose body is JSON."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


async def classify_sentence(service: Service, record: RequestRecord, text: Text, options: Options = PLAIN) -> Answer:
    """The labels of one sentence, or pair, with their scores. Raises what `Classifier.predict` raises."""
    predictions, content, wish = await answered(service, record, [text], options)
    return answer_of(service, record, predictions, [logged(text)], content[0], wish)


async def classify_sentences(
    service: Service, record: RequestRecord, texts: Sequence[Text], options: Options
) -> Answer:
    """For each sentence or pair, in order, its labels with their scores, all by the same version.

    Raises:
        TooManySentencesError: more than the setting allows.
        GatewayError: what `Classifier.predict` raises.
    """
    refuse_too_many(len(texts), service.settings.max_sentences)
    predictions, content, wish = await answered(service, record, texts, options)
    return answer_of(service, record, predictions, [logged(text) for text in texts], content, wish)


async def answered(
    service: Service, record: RequestRecord, texts: Sequence[Text], options: Options, within_s: float = math.inf
) -> tuple[Predictions, list[Any], Wish | None]:
    """What is answered to each text: its labels, or an object with them and a receipt where one is asked for.

    Raises:
        GatewayError: what `Classifier.predict` raises, which gets `within_s`, too.
    """
    wish = service.meaning.wish(options)
    if options.receipt:
        _check_receipts(service, wish)
    alone = wish is not None and wish.of_model
    predictions = await service.classifier.predict(
        [_unquoted(text) for text in texts],
        options.truncate,
        version=options.version,
        windows=windows_wanted(options, service.settings),
        alone=alone,
        within_s=within_s,
    )
    content: list[Any] = (
        _plain(service, predictions, options) if wish is None else await service.meaning.labels(predictions, wish)
    )
    if options.receipt:
        content = await _with_receipts(service, record, texts, predictions, options, content)
    return predictions, content, wish


def _check_receipts(service: Service, wish: Wish | None) -> None:
    """Raise InvalidRequestError where no receipt is given, before anything is computed."""
    if service.receipts is None:
        raise InvalidRequestError(NO_RECEIPTS)
    if wish is not None:
        raise InvalidRequestError(PLAIN_RECEIPTS)


def _plain(service: Service, predictions: Predictions, options: Options) -> list[list[LabelScore]]:
    """What is answered for each text where nothing more is asked than what the model gives."""
    manifest = predictions.version.manifest
    threshold = thresholds_of(manifest, service.settings)
    return [ranked(item.scores, manifest, options.top_k, threshold) for item in predictions.items]


async def _with_receipts(
    service: Service,
    record: RequestRecord,
    texts: Sequence[Text],
    predictions: Predictions,
    options: Options,
    answers: Sequence[Any],
) -> list[Any]:
    assert service.receipts is not None  # else the request was refused before anything was computed
    if predictions.windows is not None:
        raise InvalidRequestError(WHOLE_RECEIPTS)
    classified = [_unquoted(text) for text in texts]
    return await service.receipts.beside(answers, record.request_id, classified, predictions, options, service.settings)


def _unquoted(text: Text) -> Text:
    first = unquote(text.first)
    if text.second is None:
        return text if first is text.first else Text(first)
    return Text(first, unquote(text.second))


def logged(text: Text) -> str:
    """How the log shows it, where it may."""
    return text.first if text.second is None else f"{text.first} | {text.second}"


def refuse_too_many(count: int, most: int) -> None:
    """Raise TooManySentencesError past the setting's bound."""
    if count > most:
        raise TooManySentencesError(f"The request has {count} sentences; at most {most} are taken: send several.")


def answer_of(
    service: Service,
    record: RequestRecord,
    predictions: Predictions,
    sentences: Sequence[str],
    content: Any,
    wish: Wish | None = None,
) -> Answer:
    """The answer with its headers, counted and noted for the log."""
    return Answer(to_json(content), headers=told(service, record, predictions, sentences, wish))


def told(
    service: Service, record: RequestRecord, predictions: Predictions, sentences: Sequence[str], wish: Wish | None
) -> dict[str, str]:
    """What an answer's headers tell of it, after it was counted and noted for the log."""
    count = len(predictions.items)
    headers = {VERSION_HEADER: str(predictions.version.number)}
    if wish is not None:
        headers |= headers_of(wish, predictions.version.manifest)
    if cut := sum([item.cut_tokens > 0 for item in predictions.items]):
        headers[TRUNCATED_HEADER] = "true" if count == 1 else f"{cut} of {count}"
        service.metrics.truncated.inc(cut)
    if predictions.windows is not None:
        headers[WINDOWS_HEADER] = windows_header(predictions.windows)
        service.metrics.count_windows(predictions.windows)
    service.metrics.sentences.inc(count)
    if by := [item.by for item in predictions.items if item.by is not None]:
        counts = Counter(by)
        headers[ANSWERED_BY_HEADER] = by[0] if len(counts) == 1 else "both"
        for who, sentences_of in counts.items():
            service.metrics.answered(who).inc(sentences_of)
    if service.feedback is not None:
        service.feedback.remember(record.request_id, predictions, sentences)
    record.facts = {
        "version": predictions.version.number,
        "sentences": count,
        "tokens": sum([item.tokens for item in predictions.items]),
        "queue_ms": round(1000 * max([item.waited_s for item in predictions.items]), 2),
    }
    if predictions.windows is not None:
        record.facts["windows"] = sum(predictions.windows)
    if service.settings.log_sentences:
        record.facts["texts"] = list(sentences)
    return headers


def error_answer(error: GatewayError, metrics: Metrics) -> Answer:
    """The answer for a request that failed, counted by kind of error."""
    status = STATUS[type(error)]
    metrics.rejected.labels(kind_of(error)).inc()
    headers = {}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 415:
        headers["Accept-Encoding"] = ACCEPTED_CODINGS
    return Answer(to_json({"error": str(error)}), status, headers)
