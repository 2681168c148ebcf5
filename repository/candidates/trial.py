"""Which version is on trial, in which way, and how did earlier trials end?

It is one small JSON file beside the model's folder, not in it: Triton loads every version of a model again when a file
of such a name changes in its folder (see `repository.staging`).
"""

from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repository.binomial import fewest_cases
from repository.manifest import RepositoryError, first_mistake

KEPT = 50
"""Trials that are remembered. A rejected version's folder is deleted at once, so that none is forgotten too early."""

Outcome = Literal["promoted", "rejected"]
Mode = Literal["shadow", "canary"]


class _Record(BaseModel):
    """Fields of later versions of this program are no mistake: a gateway must go on while others are updated."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())


class Rule(_Record):
    """When a candidate is promoted without anybody being asked; else it is rejected."""

    after: int = Field(1000, ge=1, description="Mirrored sentences after which it is judged, once.")
    agreement: float = Field(
        0.99, gt=0, lt=1, description="Least share of equal answers; the one-sided 95 % lower bound has to reach it."
    )
    latency_ratio: float = Field(1.5, gt=0, description="Most that it may take, as a multiple of the current version.")
    errors: int = Field(0, ge=0, description="Most sentences that it may fail to answer; more reject it at once.")

    def unreachable(self) -> str | None:
        """Why so many sentences cannot show what is asked, as a sentence; None if they can."""
        least = fewest_cases(1 - self.agreement)
        if self.after >= least:
            return None
        return (
            f"after {self.after} sentences an agreement of {self.agreement:g} cannot be shown, even if all agree: "
            f"ask for at least {least}"
        )


class Plan(_Record):
    """In which way a version is tried."""

    canary: float = Field(0, ge=0, le=1, description="Share of requests that it answers; 0 in shadow.")
    rule: Rule | None = None


class Summary(_Record):
    """What had been counted when a trial ended."""

    compared: int
    agreement: float | None = None
    agreement_lower: float
    confident_changes: int
    latency_ratio: float | None = None
    errors: int


class Trial(Plan):
    """One candidate's trial."""

    version: int = Field(ge=1)
    since: datetime
    outcome: Outcome | None = Field(None, description="null while it runs.")
    reason: str | None = Field(None, description="Why it ended as it did.")
    ended_at: datetime | None = None
    summary: Summary | None = None

    @property
    def mode(self) -> Mode:
        """Whether it answers nobody, or some."""
        return "canary" if self.canary else "shadow"


class Trials(_Record):
    """Every trial of a model that is remembered, oldest first; at most the last one runs."""

    schema_version: Literal[1] = 1
    trials: tuple[Trial, ...] = ()

    @classmethod
    def parse(cls, content: bytes, place: str) -> "Trials":
        """Trials from their file. Raises RepositoryError: it is not valid; the message names `place`."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise RepositoryError(f"{place} is no valid record of trials ({first_mistake(error)})") from None

    def text(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"

    @property
    def running(self) -> Trial | None:
        """The trial that has not ended."""
        last = self.trials[-1] if self.trials else None
        return last if last is not None and last.outcome is None else None

    @property
    def set_aside(self) -> frozenset[int]:
        """Versions that must not answer by being the newest: the one on trial, and those that were rejected."""
        return frozenset(trial.version for trial in self.trials if trial.outcome != "promoted")

    def begun(self, version: int, plan: Plan) -> "Trials":
        """The same and one more. A trial that still runs is one whose version is gone."""
        before = self.ended(self.running.version, "rejected", "its version is gone") if self.running else self
        trial = Trial(version=version, since=_now(), canary=plan.canary, rule=plan.rule)
        return self.model_copy(update={"trials": (*before.trials, trial)[-KEPT:]})

    def with_canary(self, share: float) -> "Trials":
        """The same with another share of requests for the candidate. Raises RepositoryError: there is none."""
        return self._with_last(require_running(self).model_copy(update={"canary": share}))

    def ended(self, version: int, outcome: Outcome, reason: str, summary: Summary | None = None) -> "Trials":
        """The same with the trial of that version at its end; unchanged if it does not run (any more)."""
        running = self.running
        if running is None or running.version != version:
            return self
        end = {"outcome": outcome, "reason": reason, "ended_at": _now(), "summary": summary}
        return self._with_last(running.model_copy(update=end))

    def _with_last(self, trial: Trial) -> "Trials":
        return self.model_copy(update={"trials": (*self.trials[:-1], trial)})


def require_running(trials: Trials) -> Trial:
    """The trial that runs. Raises RepositoryError: none does."""
    if trials.running is None:
        raise RepositoryError("no version is on trial: `publish FOLDER --as candidate` begins one")
    return trials.running


def refuse_over(trials: Trials) -> None:
    """Raise RepositoryError while a version is on trial.

    Triton serves the two newest versions: a third would take the one that answers away before the new one is proved.
    """
    if (running := trials.running) is not None:
        raise RepositoryError(
            f"version {running.version} is on trial: promote or reject it first, or add --replace, which rejects it"
        )


def begun_alone(trials: Trials, version: int, plan: Plan) -> Trials:
    """`trials.begun`, unless another one runs. Raises RepositoryError: it does."""
    refuse_over(trials)
    return trials.begun(version, plan)


def state_name(model_name: str) -> str:
    """Name of the file, in the repository's folder; no model can be called so."""
    return f".candidate-{model_name}.json"


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
