"""Bodies of requests and answers, as OpenAPI shows them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.candidates.schemas import CandidateNow, EndedTrial
from gateway.errors import InvalidRequestError, kind_of
from gateway.feedback.shown import FeedbackNow
from gateway.ranking import ALL_LABELS
from gateway.settings import LONGEST_UNKNOWN
from gateway.watching.shown import DriftNow
from gateway.windows.choices import LONG_TEXT_MEANING, WINDOW_JOIN_MEANING, LongText, WindowJoin
from repository.cascade import Cascade
from repository.manifest import Evaluation, Parity, Precision, ProblemType
from repository.meaning.calibration import Calibration
from repository.meaning.coverage import Coverage
from repository.meaning.thresholds import Thresholds
from repository.names import refused_label


def _top_k(value: object) -> object:
    return ALL_LABELS if value == "all" else value


TopK = Annotated[
    Annotated[int, Field(ge=0)] | None,
    BeforeValidator(_top_k, json_schema_input_type=Annotated[int, Field(ge=0)] | Literal["all"] | None),
    Field(
        description="How many labels, best first; `0` or `all` for every one. Not given: the best one, or, for a "
        "multi-label model, every label that reaches the threshold.",
    ),
]


def _one_line(label: str) -> str:
    if reason := refused_label(label):
        raise ValueError(f"the label {reason}")
    return label


LAST_VERSION = 10**18 - 1
"""A number has at most 18 digits, see `repository.names`."""


ModelName = Annotated[
    str | None,
    Field(
        description="The model that answers, of those that `GET /models` names; the first of them if not given.",
        examples=["classifier"],
    ),
]


class Options(BaseModel):
    """What a request may ask of each of its answers; fields of the body, or parameters of the query."""

    model: ModelName = None
    top_k: TopK = None
    truncate: bool = Field(
        True,
        description="Cut a sentence at the model's limit and say so in the header `X-Truncated`; `false` answers such "
        "a one with 413. With `long_text=windows` no sentence is cut or refused so.",
    )
    long_text: LongText | None = Field(None, description=f"{LONG_TEXT_MEANING} Not given: the server's `LONG_TEXT`.")
    window_join: WindowJoin | None = Field(
        None, description=f"{WINDOW_JOIN_MEANING} Not given: the server's `WINDOW_JOIN`."
    )
    version: Annotated[int, Field(ge=1, le=LAST_VERSION)] | None = Field(
        None,
        description="The version that answers, one that `GET /models` calls `current`, `candidate` or `ready`; the "
        "current one if not given, or a candidate that answers a share of the requests.",
    )
    calibrated: bool | None = Field(
        None,
        description="`true`: scores that say how often they are right, of a version that has a calibration; `false`: "
        "softmax or sigmoid as the model gives it. Not given: as `CALIBRATED` says.",
    )
    min_score: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Leave out labels with a lower score; also in place of the thresholds of a multi-label model."
    )
    unknown: Annotated[str, Field(min_length=1, max_length=LONGEST_UNKNOWN), AfterValidator(_one_line)] | None = Field(
        None,
        description="Answer this label, with the best score, where none is left, in place of an empty list.",
    )
    coverage: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Answer the set of labels that holds the right one in so large a share of cases, such as `0.95`.",
    )
    receipt: bool = Field(
        False,
        description="Give each answer as an object with a receipt beside it, signed by this gateway, by which it can "
        "be checked later; 422 where the gateway has no key for it.",
    )


PLAIN = Options()
"""Of a request that asks for nothing in particular."""


class TextQuery(BaseModel):
    """The text of `GET /classify`."""

    sentence: str = Field(
        description="An idea's title and its mind map's title, joined by a space. "
        "One pair of quotes around the whole is ignored.",
        json_schema_extra={"example": "Mapa aprende un nuevo lenguaje"},
    )
    text_pair: str | None = Field(
        None, description="The second text of a pair, for a model that was trained on pairs of texts."
    )


class ClassifyQuery(Options, TextQuery):  # fields of the last base come first
    """The parameters of `GET /classify`."""


class LabelScore(BaseModel):
    """One label and its score."""

    label: str
    score: float


class AnswerWithReceipt(BaseModel):
    """An answer to a request with `receipt=true`."""

    answer: list[LabelScore] = Field(description="What is answered without a receipt.")
    receipt: str = Field(
        description="A JWS in compact form (RFC 7515) over the answer, the version and a digest of the text, signed "
        "with Ed25519; behind `~` the salt of that digest.",
        examples=["eyJhbGciOiJFZERTQSIsImtpZCI6….eyJhbnN3ZXIiOlt7….3q2-7w…~c2FsdA"],
    )


class ReceiptKey(BaseModel):
    """A public key as a JSON Web Key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str = Field(description="The key, in base64url.")
    kid: str = Field(description="Its thumbprint (RFC 7638), which the header of each receipt names.")
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class Body(BaseModel):
    """Base of request bodies: unknown fields are mistakes, not noise."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Idea(Body):
    """An idea of a mind map; it is classified as its title and its map's title, joined by a space."""

    idea_title: str
    map_title: str


class TextsBody(Body):
    """The texts of `POST /classify`."""

    sentences: list[str] | None = Field(
        None,
        min_length=1,
        examples=[["Mapa aprende un nuevo lenguaje"]],
        description="One pair of quotes around a whole sentence is ignored.",
    )
    pairs: list[tuple[str, str]] | None = Field(
        None, min_length=1, description="Pairs of texts, for a model that was trained on such."
    )
    ideas: list[Idea] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _one_of_three(self) -> "TextsBody":
        if sum(given is not None for given in (self.sentences, self.pairs, self.ideas)) != 1:
            raise ValueError("give one of sentences, pairs and ideas")
        return self

    def texts(self) -> Sequence[tuple[str] | tuple[str, str]]:
        """The one or two sides of each text to classify, in order."""
        if self.pairs is not None:
            return self.pairs
        if self.sentences is not None:
            return [(sentence,) for sentence in self.sentences]
        return [(f"{idea.idea_title} {idea.map_title}",) for idea in self.ideas or []]


class ClassifyBody(Options, TextsBody):
    """What to classify: `sentences`, `pairs` or `ideas`."""


def invalid_kind(error: RequestValidationError) -> str:
    """How the metrics call a request that is not as these models describe it."""
    return "InvalidJson" if error.errors()[0]["type"] == "json_invalid" else kind_of(InvalidRequestError(""))


class ErrorBody(BaseModel):
    """Body of every answer that is no success."""

    error: str = Field(description="One sentence: what is wrong, and what would be right.")


class Health(BaseModel):
    """State of the gateway."""

    status: str
    model: str
    version: int | None = Field(None, description="The version that answers at present.")


class StudentNow(BaseModel):
    """What the current version's student does at present, in the gateway process that answers."""

    state: Literal["answers", "waits", "off"] = Field(
        description="`waits`: it did not answer its golden sentences yet, `reason` says why; `off`: it disagreed with "
        "the model too often at every bar."
    )
    reason: str | None = None
    bar: float | None = Field(None, description="Confidence from which on it answers.")
    raised: int = Field(0, description="Times that the audit has raised the bar.")


class ModelVersion(BaseModel):
    """One version that Triton knows; what its manifest says is missing where that cannot be read."""

    version: int
    state: Literal["current", "candidate", "ready", "loading", "failed"] = Field(
        description="`current` answers; `candidate` is on trial; `ready` is served by Triton; `failed` is not used, "
        "`reason` says why."
    )
    reason: str | None = None
    labels: list[str] | None = None
    problem_type: ProblemType | None = None
    precision: Precision | None = None
    precision_reason: str | None = Field(None, description="Why it has this precision, in one sentence.")
    max_length: int | None = Field(None, description="Longest sequence the model takes, in tokens.")
    source: str | None = Field(None, description="Name of the checkpoint.")
    created_at: datetime | None = None
    republished_from: int | None = None
    parity: Parity | None = None
    forced: list[str] | None = Field(
        None, description="What the export was outside its tolerance by, if it was forced."
    )
    evaluation: Evaluation | None = None
    calibration: Calibration | None = Field(
        None, description="How its scores are calibrated where that is asked for; null: it cannot be asked for."
    )
    thresholds: Thresholds | None = Field(None, description="Of a multi-label model, its own thresholds.")
    coverage: Coverage | None = Field(
        None, description="What is known of its label sets; null: `coverage` cannot be asked for."
    )
    cascade: Cascade | None = Field(None, description="The student that the version holds beside the model.")
    student: StudentNow | None = Field(None, description="What the student does now; of the current version alone.")
    drift: DriftNow | None = Field(
        None,
        description="How far the last sentences are from its profile; of the current one, where `WATCH` is on.",
    )
    feedback: FeedbackNow | None = Field(None, description="How right its last answers were, where `FEEDBACK` is set.")
    report: str | None = Field(
        None,
        description="Path of the page that says how good the version is; null where it has none.",
        examples=["/models/3/report"],
    )


class ServedModel(BaseModel):
    """One of the models that a gateway serves."""

    name: str
    current: int | None = Field(description="The version that answers; null if none does.")
    problem: str | None = Field(None, description="Why it does not answer at present.")


class Models(BaseModel):
    """The versions of one model, newest first, and which models there are."""

    model: str
    current: int | None
    threshold: float = Field(description="Least score of a label in the answer of a multi-label model without `top_k`.")
    own_thresholds: bool = Field(description="Whether the thresholds of a version that has its own take its place.")
    calibrated: bool = Field(description="Whether scores are calibrated unless a request says otherwise.")
    feedback: bool = Field(False, description="Whether `POST /feedback` is taken.")
    versions: list[ModelVersion]
    models: list[ServedModel] = Field([], description="Every model that this gateway serves, the default first.")
    candidate: CandidateNow | None = Field(None, description="The version that is on trial, if any.")
    ended_trials: list[EndedTrial] = Field([], description="Trials that are over, newest first.")
