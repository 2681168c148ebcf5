"""The manifest: what a published version says about itself, and the check that its files are the ones it means."""

import hashlib
import math
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from repository.cascade import STUDENT_FILE, Cascade
from repository.meaning.calibration import Calibration
from repository.meaning.coverage import Coverage
from repository.meaning.fits import check_meaning
from repository.meaning.thresholds import Thresholds
from repository.names import is_file_name

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.pbtxt"
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
# For people, where a version has them: how good it is, as a page and as a model card.
REPORT_PAGE = "report.html"
CARD_FILE = "README.md"
# Digests of the weights of the checkpoint that a version was exported from, for `sha256sum --check`.
WEIGHTS_FILE = "weights.sha256"

# Every exported graph looks the same from outside.
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "logits"
_SHOWN = 250  # characters of a place, and of what is wrong there: a file may hold anything


class RepositoryError(Exception):
    """A model repository, a version folder or a manifest that is not as it has to be; the message says what to do."""


class ProblemType(StrEnum):
    """How logits become scores; the names are those of `PretrainedConfig.problem_type`."""

    SINGLE_LABEL = "single_label_classification"
    MULTI_LABEL = "multi_label_classification"
    REGRESSION = "regression"


class Precision(StrEnum):
    """Number format of the graph's weights and of its large products; logits are FP32 in all of them."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class StrictModel(BaseModel):
    """Base of every part of the manifest: unknown fields are errors, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class FileDigest(StrictModel):
    """Identity of one file of the version folder."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)


class Parity(StrictModel):
    """How far the graph's answers are from PyTorch's, measured at export on real sentences."""

    sentences: int = Field(ge=1)
    pairs: int = Field(0, ge=0, description="Pairs of texts beside them, for models that tell two texts apart.")
    max_logit_difference: float = Field(ge=0)
    max_probability_difference: float = Field(ge=0)
    label_agreement: float = Field(ge=0, le=1, description="Share of sentences with PyTorch's label.")
    decided_label_agreement: float = Field(
        ge=0, le=1, description="The same among the sentences on which PyTorch is not near a tie."
    )
    padded_label_flips: int = Field(ge=0, description="Sentences whose label changes when padded or batched.")
    max_padded_probability_difference: float = Field(ge=0, description="Probability drift when padded or batched.")


class HeldOut(StrEnum):
    """What a test split was kept from training by."""

    GROUPS = "groups"
    ROWS = "rows"
    FILES = "files"

    @classmethod
    def _missing_(cls, value: object) -> "HeldOut | None":
        return cls.GROUPS if value == "maps" else None  # its name while mind maps were the only groups


class Evaluation(StrictModel):
    """Figures on labelled sentences, for the graph and for the PyTorch checkpoint it came from."""

    sentences: int = Field(ge=1)
    held_out: HeldOut | None = Field(
        None,
        description="`groups`: the checkpoint's test split, of groups (mind maps) it was not trained on. `files`: its "
        "test file. `rows`: its test split, of rows of groups that it was trained on, which reads far too well. null: "
        "other data, or nobody can say.",
    )
    origin: str | None = Field(None, description="Which sentences, in words.")
    accuracy: float | None = Field(None, ge=0, le=1, description="Of models that answer one label.")
    macro_f1: float | None = Field(None, ge=0, le=1, description="Of models that answer labels.")
    checkpoint_accuracy: float | None = Field(None, ge=0, le=1)
    checkpoint_macro_f1: float | None = Field(None, ge=0, le=1)
    figures: dict[str, float] = Field({}, description="Others, of models that answer several labels or a number.")
    checkpoint_figures: dict[str, float] = {}


class JudgedTexts(StrictModel):
    """Texts that a precision was judged on, and the answers that were not float32's."""

    origin: str = Field(description="Which texts, in words.")
    texts: int = Field(ge=0)
    changes: int = Field(ge=0, description="Answers that changed.")
    confident_changes: int = Field(ge=0, description="Those among them where PyTorch was not near a tie.")


class FigureChange(StrictModel):
    """How a figure differs from PyTorch's on the same sentences."""

    value: float = Field(description="The graph's minus PyTorch's.")
    at_worst: float = Field(description="The worse bound of the one-sided 95 % interval (bootstrap over groups).")


class Judgement(StrictModel):
    """What `--precision auto` judged a precision by: sentences that no published figure is measured on."""

    precision: Precision
    margin: float = Field(gt=0, description="Most that a figure may be worse by.")
    groups: int = Field(ge=0, description="Groups that the sentences come from.")
    judged: list[JudgedTexts] = Field(min_length=1, description="The sentences; then others, and long texts of them.")
    agreement_at_worst: float = Field(
        ge=0, le=1, description="Lower bound of the one-sided 95 % interval (Clopper-Pearson) of unchanged answers."
    )
    figures: dict[str, FigureChange] = Field({}, description="Of sentences with true labels.")
    speedup: float | None = Field(None, description="Times as fast as fp32 where it was exported, in batches of 32.")
    objections: list[str] = Field([], description="Why it was not taken; empty if it was.")


class Manifest(StrictModel):
    """`manifest.json` of a version folder."""

    schema_version: Literal[1] = 1
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    source: str = Field(description="Name of the checkpoint that was exported.")
    labels: list[str] = Field(min_length=1, description="Label names, in the order of the logits.")
    problem_type: ProblemType
    max_length: int = Field(ge=1, description="Longest sequence that is served, in tokens, special tokens included.")
    model_max_length: int | None = Field(
        None, ge=1, description="What the model itself could take, if it says; `max_length` may be lowered at export."
    )
    pad_token_id: int = Field(ge=0)
    token_types: bool = Field(
        False, description="Whether an attention mask of 2 marks a token of the second text of a pair; else 1 does."
    )
    precision: Precision
    precision_reason: str = Field(description="Why this precision was chosen, in one sentence.")
    opset: int = Field(ge=1)
    ir_version: int = Field(ge=1)
    parity: Parity
    forced: list[str] = Field([], description="What was outside the tolerance when the export was forced; else empty.")
    evaluation: Evaluation | None = None
    judgements: list[Judgement] = Field(
        [], description="What `auto` judged each precision by that it tried; not written where there is nothing."
    )
    cascade: Cascade | None = Field(None, description="The student that the version holds beside the model, if any.")
    calibration: Calibration | None = Field(
        None, description="How scores are brought to say how often they are right, where that was fitted."
    )
    thresholds: Thresholds | None = Field(
        None, description="From which score on each label is answered; of models that answer several labels."
    )
    coverage: Coverage | None = Field(
        None, description="What is known of sets of labels that hold the right one; of models that answer one label."
    )
    library_versions: dict[str, str]
    republished_from: int | None = Field(None, description="Version whose content this is, after a roll-back.")
    files: dict[str, FileDigest] = Field(description="Every other file of the version folder.")

    @model_validator(mode="after")
    def _check(self) -> "Manifest":
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        for required in (MODEL_FILE, TOKENIZER_FILE):
            if required not in self.files:
                raise ValueError(f"files must list {required}")
        for name in self.files:
            if not is_file_name(name) or name == MANIFEST_FILE:
                raise ValueError(f"files must be plain names inside the version folder, not {name!r}")
        if self.cascade is not None and STUDENT_FILE not in self.files:
            raise ValueError(f"files must list {STUDENT_FILE}, since there is a cascade")
        if self.cascade is not None and self.problem_type is not ProblemType.SINGLE_LABEL:
            raise ValueError("a cascade is for models that answer one label")
        if (place := next(_not_finite("", self.model_dump()), None)) is not None:
            raise ValueError(f"{place} must be a finite number")  # JSON has no other, and what is written must be read
        check_meaning(self.problem_type, self.labels, self.files, self.calibration, self.thresholds, self.coverage)
        return self

    @property
    def weights(self) -> str | None:
        """What tells the weights of the checkpoint it was exported from; None where an older export did not note it.

        It is the digest of `weights.sha256`. A field of its own would be unknown to gateways that came before it, which
        would refuse the version; a file more in `files` is none of their business.
        """
        listed = self.files.get(WEIGHTS_FILE)
        return None if listed is None else listed.sha256

    def answers_as(self, other: "Manifest") -> bool:
        """Whether both are of the same files, and say the same of their scores."""
        mine, theirs = ((each.files, each.calibration, each.thresholds) for each in (self, other))
        return mine == theirs

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read `folder/manifest.json`.

        Raises:
            RepositoryError: it is missing, not JSON, or not a manifest of this schema version.
        """
        path = folder / MANIFEST_FILE
        try:
            return cls.parse(path.read_bytes(), str(folder))
        except FileNotFoundError:
            raise RepositoryError(f"{path} is missing: {folder} is no exported version folder") from None
        except OSError as error:
            raise RepositoryError(f"{path} cannot be read: {error.strerror}") from None

    @classmethod
    def parse(cls, content: bytes, place: str) -> "Manifest":
        """A manifest from its bytes. Raises RepositoryError: they are none; the message names `place`."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise RepositoryError(f"{place}/{MANIFEST_FILE} is not a valid manifest ({first_mistake(error)})") from None

    def text(self) -> str:
        """The text of `manifest.json`."""
        # A gateway from before a field refuses a manifest that has it, were it empty.
        later = ("cascade", "judgements", "calibration", "thresholds", "coverage")
        unused = {name for name in later if not getattr(self, name)}
        return self.model_dump_json(indent=2, exclude=unused) + "\n"

    def write(self, folder: Path) -> None:
        """Write `folder/manifest.json`."""
        (folder / MANIFEST_FILE).write_text(self.text(), encoding="utf-8")

    def verify_files(self, folder: Path, names: Collection[str] | None = None) -> None:
        """Compare every listed file, or those that `names` has, with its digest.

        Raises:
            RepositoryError: a file is missing, is not a regular file, cannot be read (maybe the version is being
                retracted), or has other content than the manifest says.
        """
        for name, expected in self.files.items():
            if names is not None and name not in names:
                continue
            path = folder / name
            if path.is_symlink() or not path.is_file():
                raise RepositoryError(f"{path} is missing or not a regular file")
            try:
                is_described = path.stat().st_size == expected.size_bytes and digest_file(path) == expected
            except OSError as error:
                raise RepositoryError(f"{path} cannot be read: {error.strerror}") from None
            if not is_described:
                raise RepositoryError(f"{path} is not the file that {MANIFEST_FILE} describes: export it again")


def _not_finite(name: str, value: object) -> Iterator[str]:
    """Where in a part of a manifest a number is infinite or none."""
    if isinstance(value, float) and not math.isfinite(value):
        yield name
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _not_finite(f"{name}.{key}".lstrip("."), item)
    elif isinstance(value, list):
        for item in value:
            yield from _not_finite(name, item)


def first_mistake(error: ValidationError) -> str:
    """Where in a file the first thing is wrong, and what."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "file"
    return f"{where[:_SHOWN]}: {first['msg'][:_SHOWN]}"


def digest_file(path: Path) -> FileDigest:
    """SHA-256 and size of a file, read in pieces."""
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileDigest(sha256=sha256, size_bytes=path.stat().st_size)
