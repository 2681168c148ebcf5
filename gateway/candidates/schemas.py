"""What `GET /models` shows of candidates."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from repository.candidates.tally import Agreement, Change, Tally
from repository.candidates.trial import Mode, Outcome, Rule, Summary, Trial

MOST_SHOWN = 20
"""Labels, and scripts, of which the agreement is shown."""


class AgreementNow(BaseModel):
    """How often the candidate gives the current version's answer."""

    compared: int = Field(description="Sentences that both answered.")
    agreed: int
    share: float | None = Field(None, description="`agreed` of `compared`; null without any.")
    lower: float = Field(description="One-sided 95 % lower bound of the share (Clopper-Pearson).")
    upper: float = Field(description="One-sided 95 % upper bound of the share.")
    confident_changes: int = Field(description="Other answers although the current version was not near a tie.")

    @classmethod
    def of(cls, counts: Agreement) -> "AgreementNow":
        """With its bounds."""
        return cls(**counts.model_dump(), share=counts.share, lower=counts.lower, upper=counts.upper)


class CandidateNow(BaseModel):
    """The version that is on trial, and what all gateways have counted of it."""

    version: int
    mode: Mode = Field(description="`shadow`: it answers nobody; `canary`: it answers a share of the requests.")
    state: Literal["runs", "waits", "failed"] = Field(
        description="`runs`: this gateway process asks it; `waits`: not yet, `reason` says why; `failed`: it is about "
        "to be rejected for `reason`."
    )
    reason: str | None = None
    since: datetime
    canary: float = Field(description="Share of requests that it answers.")
    shadow_share: float = Field(description="Share of the other sentences that are mirrored to it.")
    rule: Rule | None = Field(None, description="When it is promoted, or else rejected, by itself.")
    against: int | None = Field(None, description="The version that it is compared with.")
    agreement: AgreementNow | None = None
    by_label: dict[str, AgreementNow] = Field(
        {}, description="By the current version's label: the twenty with most sentences."
    )
    by_script: dict[str, AgreementNow] = Field({}, description="By the script of the first letters, such as `Latin`.")
    score_shift: float | None = Field(
        None, description="By how much the score of the current version's label is higher, or lower, in the mean."
    )
    latency_ms: float | None = Field(None, description="Mean of the timed sentences, each asked alone.")
    current_latency_ms: float | None = Field(None, description="The same of the current version.")
    latency_ratio: float | None = Field(None, description="Median of the two's ratio.")
    errors: int = Field(0, description="Sentences that the current version answers and the candidate does not.")
    dropped: int = Field(0, description="Mirrored sentences that were not asked, since there was no time for them.")
    answered: int = Field(0, description="Sentences that it answered for real.")
    changes: list[Change] = Field(
        [], description="The sentences that changed most; none are kept without `LOG_SENTENCES`."
    )

    @classmethod
    def of(
        cls, trial: Trial, figures: Mapping[str, Any], shadow_share: float, *, waits: str | None, failure: str | None
    ) -> "CandidateNow":
        """Of what was counted.

        Args:
            trial: that runs.
            figures: what `figures_of` made of it.
            shadow_share: the setting.
            waits: why this process does not ask the candidate; None if it does.
            failure: why it is about to be rejected, if it is.
        """
        return cls(
            version=trial.version,
            mode=trial.mode,
            state="failed" if failure is not None else "waits" if waits is not None else "runs",
            reason=failure or waits,
            since=trial.since,
            canary=trial.canary,
            shadow_share=shadow_share,
            rule=trial.rule,
            **figures,
        )


class EndedTrial(BaseModel):
    """A trial that is over."""

    version: int
    outcome: Outcome
    reason: str | None = None
    since: datetime
    ended_at: datetime | None = None
    summary: Summary | None = Field(None, description="What had been counted.")


def figures_of(counted: Tally) -> Mapping[str, Any]:
    """The fields of `CandidateNow` that say what was counted; bounds take a millisecond each: no work for the loop."""
    timed = counted.timed or None
    return {
        "against": counted.against or None,
        "agreement": AgreementNow.of(counted.overall),
        "by_label": _groups(counted.by_label),
        "by_script": _groups(counted.by_script),
        "score_shift": counted.mean_shift,
        "latency_ms": timed and 1000 * counted.seconds / timed,
        "current_latency_ms": timed and 1000 * counted.current_seconds / timed,
        "latency_ratio": counted.latency_ratio,
        "errors": counted.errors,
        "dropped": counted.dropped,
        "answered": counted.answered,
        "changes": counted.changes,
    }


def _groups(groups: Mapping[str, Agreement]) -> dict[str, AgreementNow]:
    largest = sorted(groups.items(), key=lambda item: -item[1].compared)[:MOST_SHOWN]
    return {name: AgreementNow.of(counts) for name, counts in largest}
