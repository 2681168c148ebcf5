"""What does `GET /models` say of drift?"""

from typing import Literal

from pydantic import BaseModel, Field

from gateway.watching.drift import FEWEST, Drift


class ShiftNow(BaseModel):
    """How far one thing has moved from the version's profile."""

    of: Literal["label", "score", "length", "script", "unknown"] = Field(
        description="`label` and `score`: the best of each answer; `length` in tokens, `script`, and whether there are "
        "`unknown` tokens: of the sentences."
    )
    index: float = Field(description="Population stability index: below 0.1 nothing moved, above 0.25 much did.")
    limit: float = Field(description="0.25, or more where chance alone could reach that; an index above it is large.")
    large: bool


class DriftNow(BaseModel):
    """How far the last sentences are from those that the version was trained on."""

    sentences: int = Field(description=f"In the window; fewer than {FEWEST} say nothing.")
    minutes: float = Field(description="How far back the window goes.")
    profile: bool = Field(description="Whether the version carries a profile to hold them against.")
    shifts: list[ShiftNow]
    unknown_token_share: float | None = Field(None, description="Share of tokens that the vocabulary does not know.")
    profile_unknown_token_share: float | None = None


def shown(drift: Drift | None) -> DriftNow | None:
    """Drift as it is shown; None while there is no version."""
    if drift is None:
        return None
    moved = [
        ShiftNow.model_validate(
            {"of": one.of, "index": round(one.index, 4), "limit": round(one.limit, 4), "large": one.is_large}
        )
        for one in drift.shifts
    ]
    return DriftNow(
        sentences=drift.sentences,
        minutes=round(drift.minutes, 1),
        profile=drift.has_profile,
        shifts=moved,
        unknown_token_share=drift.unknown_share,
        profile_unknown_token_share=drift.profile_unknown_share,
    )
