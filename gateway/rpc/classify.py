"""Answers `text_classifier.v1.Classifier`: the options of POST /classify, as messages."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from gateway.answers import answered, logged, refuse_too_many, told
from gateway.classifier import Predictions
from gateway.encoding import Text
from gateway.errors import InvalidRequestError
from gateway.rpc.calls import Call
from gateway.rpc.messages import message
from gateway.schemas import PLAIN, Options
from gateway.services import Services

ClassifyResponse, Result, LabelScore = (
    message(f"text_classifier.v1.{name}") for name in ("ClassifyResponse", "Result", "LabelScore")
)
TEXTS = ("sentences", "pairs")
WORDS = {"long_text": {1: "truncate", 2: "windows"}, "window_join": {1: "mean", 2: "max", 3: "first-last"}}
"""What enums are called in options, by their numbers."""


class Classify:
    """Answers `Classify` with the models that are served."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, call: Call) -> Any:
        """The labels of each sentence. Raises GatewayError: what `gateway.answers.answered` raises, and of options."""
        request = call.message
        options = options_of(request)
        service = self._services.of(options.model)
        call.record.model = service.settings.model_name
        texts = texts_of(request)
        refuse_too_many(len(texts), service.settings.max_sentences)
        predictions, content, wish = await answered(service, call.record, texts, options, call.within_s)
        call.told |= told(service, call.record, predictions, [logged(text) for text in texts], wish)
        return ClassifyResponse(
            results=_results(predictions, content),
            model=service.settings.model_name,
            version=predictions.version.number,
        )


def texts_of(request: Any) -> list[Text]:
    """What is to be classified, in order. Raises InvalidRequestError: there is nothing, or both kinds."""
    if bool(request.sentences) == bool(request.pairs):
        raise InvalidRequestError("Give one of sentences and pairs.")
    if request.sentences:
        return [Text(sentence) for sentence in request.sentences]
    return [Text(pair.first, pair.second) for pair in request.pairs]


def options_of(request: Any) -> Options:
    """What is asked of the answers. Raises InvalidRequestError: what HTTP answers 422 to."""
    asked: dict[str, Any] = {}
    for field, value in request.ListFields():
        if field.name in WORDS:
            if value not in WORDS[field.name]:
                known = ", ".join(option.name for option in field.enum_type.values[1:])
                raise InvalidRequestError(f"{field.name}: {value} is none of {known}.")
            asked[field.name] = WORDS[field.name][value]
        elif field.name not in TEXTS:
            asked[field.name] = value
    if not asked:
        return PLAIN
    try:
        return Options(**asked)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidRequestError(f"{where}: {first['msg']}.") from None


def _results(predictions: Predictions, content: Sequence[Any]) -> list[Any]:
    windows = predictions.windows or [0] * len(content)
    found = []
    for item, answer, count in zip(predictions.items, content, windows, strict=True):
        labels, receipt = (answer["answer"], answer["receipt"]) if isinstance(answer, dict) else (answer, "")
        scores = [LabelScore(label=one["label"], score=one["score"]) for one in labels]
        found.append(Result(labels=scores, receipt=receipt, cut_tokens=item.cut_tokens, windows=count))
    return found
