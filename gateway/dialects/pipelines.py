"""What Hugging Face's inference servers take: `inputs` and the `parameters` of a text-classification pipeline.

The contract is `transformers.pipelines.text_classification`, which its servers call with a request's parameters.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt

from gateway.dialects.manners import Fault
from gateway.dialects.scored import Scored, Scores, scored
from gateway.encoding import Text
from gateway.ranking import ALL_LABELS, LabelScore, ranked
from gateway.service import Service
from repository.inference import scores as scores_of
from repository.manifest import Manifest, ProblemType

FUNCTIONS = {"softmax": ProblemType.SINGLE_LABEL, "sigmoid": ProblemType.MULTI_LABEL, "none": ProblemType.REGRESSION}
"""The problem type whose scores each function gives."""

INPUTS_SHAPE = 'inputs: give a text, {"text": "…", "text_pair": "…"}, or a list of these.'
PARAMETERS_SHAPE = (
    "parameters: top_k (1 or more, or null for all), function_to_apply (softmax, sigmoid, none or default), truncation "
    "(true or false), return_all_scores and padding are taken."
)


class TextPair(BaseModel):
    """A text, or two."""

    model_config = ConfigDict(extra="forbid")

    text: str
    text_pair: str | None = None

    def asked(self) -> Text:
        """As it is classified."""
        return Text(self.text, self.text_pair)


class PipelineParameters(BaseModel):
    """Parameters of a text-classification pipeline; one that it does not have is refused, as the pipeline does."""

    model_config = ConfigDict(extra="forbid")

    top_k: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="How many labels, best first; null for all. What is answered without it, the route says."
    )
    function_to_apply: Literal["softmax", "sigmoid", "none", "default"] | None = Field(
        None, description="What makes scores of logits; the model's own if not given."
    )
    return_all_scores: StrictBool | None = Field(None, description="`true`: an older way to say `top_k: null`.")
    truncation: StrictBool = Field(False, description="Cut a text at the model's limit; else such a one is refused.")
    padding: StrictBool | Literal["longest", "max_length", "do_not_pad"] | None = Field(
        None, description="Ignored: no answer depends on padding."
    )


class PipelineBody(BaseModel):
    """The request of Hugging Face's inference servers; other fields, such as `options`, are ignored."""

    inputs: str | TextPair | Annotated[list[str | TextPair], Field(min_length=1)] = Field(
        description="A text, a pair, or a batch of both.", examples=["Mapa aprende un nuevo lenguaje"]
    )
    parameters: PipelineParameters | None = None


class PipelineErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")


def error_body(fault: Fault) -> dict[str, str]:
    """The body of a refusal."""
    return {"error": fault.message}


@dataclass(frozen=True, slots=True)
class Classified:
    """Texts with their labels."""

    found: Scored
    labels: list[list[LabelScore]]
    """For each text every label with its score, best first."""


async def classified(service: Service, body: PipelineBody) -> Classified:
    """The labels of each text, by the function that the request names. Raises what `scored` raises."""
    wanted = body.parameters or PipelineParameters()
    inputs = body.inputs if isinstance(body.inputs, list) else [body.inputs]
    texts = [Text(each) if isinstance(each, str) else each.asked() for each in inputs]
    function = FUNCTIONS.get(wanted.function_to_apply or "default")
    found = await scored(service, texts, truncate=wanted.truncation, raw=function is not None)
    rows = found.scores if function is None else applied(found.scores, function)
    return Classified(found, [every_label(row, found.manifest) for row in rows])


def applied(logits: list[Scores], function: ProblemType) -> list[Scores]:
    """The scores `[labels]` of each text's logits `[labels]`."""
    return list(scores_of(np.stack(logits), function))


def every_label(scores: Scores, manifest: Manifest) -> list[LabelScore]:
    """All labels with their scores, best first."""
    return ranked(scores, manifest, ALL_LABELS, threshold=0.0)


def as_pipeline(body: PipelineBody, labels: list[list[LabelScore]], order: list[str]) -> Any:
    """What `transformers.pipeline` returns for such inputs and parameters.

    Args:
        body: the request.
        labels: of each text, best first.
        order: the model's labels in their own order, in which `return_all_scores` gives them.
    """
    given = body.parameters.model_fields_set if body.parameters is not None else set()
    wanted = body.parameters or PipelineParameters()
    if "top_k" in given:
        rows: list[Any] = [each[: wanted.top_k] for each in labels]
        return rows if isinstance(body.inputs, list) else rows[0]
    if wanted.return_all_scores:
        place = {label: index for index, label in enumerate(order)}
        rows = [sorted(each, key=lambda one: place[one["label"]]) for each in labels]
    else:
        rows = [each[0] for each in labels]
    # Only a bare text gets a list of one answer; a lone pair gets the answer itself.
    return rows if isinstance(body.inputs, list | str) else rows[0]
