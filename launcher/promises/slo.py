"""The file of promises (`deploy/slo.yaml`), read and checked."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from repository.manifest import first_mistake

SLO_FILE = Path(__file__).resolve().parents[2] / "deploy" / "slo.yaml"
Figure = Literal["failed_share", "p99_ms", "swap_s", "recovery_s"]
UNITS: dict[str, str] = {"failed_share": "", "p99_ms": " ms", "swap_s": " s", "recovery_s": " s"}
_BUCKET = re.compile(r'\ble="([^"]+)"')
RATE_WINDOW = "5m"
"""Over which `bad` and `total` are rates; all longer windows are means of these."""


class PromisesError(Exception):
    """The file cannot be read, or says what cannot be; the message is one sentence."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Promise(_Strict):
    """One promise: of a share (with an objective, and what is bad out of what), or of a time."""

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    says: str = Field(min_length=1)
    objective: float | None = Field(None, gt=0, lt=1, description="Share of requests that are good.")
    bad: str | None = Field(None, description="PromQL: bad requests a second, over five minutes, by model.")
    total: str | None = Field(None, description="PromQL: all requests that count, likewise.")
    waits: str | None = Field(None, description="PromQL: true while what is promised is not there yet.")
    figure: Figure = Field(description="What a benchmark measures of it.")
    at_most: float = Field(gt=0, description="The most that the figure may be, in its unit.")
    under: str = Field(min_length=1, description="Load that it is promised, and measured, under.")

    @model_validator(mode="after")
    def _check(self) -> "Promise":
        of_share = (self.objective, self.bad, self.total)
        if any(part is None for part in of_share) != all(part is None for part in of_share):
            raise ValueError("objective, bad and total go together")
        for expression in (self.bad, self.total):
            if expression is not None and f"[{RATE_WINDOW}]" not in expression:
                raise ValueError(f"bad and total must be rates over [{RATE_WINDOW}]")
        if self.objective is not None and self.figure == "failed_share" and not _is(self.at_most, self.budget):
            raise ValueError(f"at_most must be 1 - objective, {self.budget:g}: both are the same promise")
        if self.figure == "p99_ms" and self.objective is not None:
            buckets = {float(bound) for bound in _BUCKET.findall(self.bad or "")}
            if not _is(self.objective, 0.99) or buckets != {self.at_most / 1000}:
                raise ValueError(f'a p99 has the objective 0.99, and counts in `bad` by le="{self.at_most / 1000:g}"')
        return self

    @property
    def budget(self) -> float:
        """Share of requests that may be bad; 0 of a promise of a time."""
        return 0.0 if self.objective is None else round(1 - self.objective, 12)


class Promises(_Strict):
    """All that is promised."""

    window: str = Field(pattern=r"^[1-9][0-9]*d$", description="Over which each promise is kept.")
    promises: list[Promise] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "Promises":
        for what in ("name", "figure"):
            found = [getattr(promise, what) for promise in self.promises]
            if len(set(found)) != len(found):
                raise ValueError(f"two promises have the same {what}")
        return self


def _is(one: float, other: float) -> bool:
    return abs(one - other) < 1e-9


def read_promises(path: Path = SLO_FILE) -> Promises:
    """The promises of a file.

    Raises:
        PromisesError: it can't be read, or is no such file.
    """
    try:
        import yaml
    except ImportError:
        raise PromisesError(f"{path} is read by PyYAML: run `pip install pyyaml`.") from None
    try:
        return Promises.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise PromisesError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}.") from None
    except yaml.YAMLError as error:
        raise PromisesError(f"{path} is not YAML ({' '.join(str(error).split())}).") from None
    except ValidationError as error:
        raise PromisesError(f"{path} holds no promises that can be kept ({first_mistake(error)}).") from None
