"""What may a call ask of its answers? The options of the server's `/classify`, by the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class Options(TypedDict, total=False):
    """Options of a call; None is as good as not given. The server checks their values.

    Attributes:
        model: which of the server's models answers; the client's own if not given.
        top_k: how many labels, best first; 0 or "all" for every one.
        truncate: cut a text that is longer than the model reads; False makes it a TextError.
        long_text: cut such a text, or read it in overlapping windows.
        window_join: how the answers to windows become one.
        version: the model's version that answers; the current one if not given.
        calibrated: scores that say how often they are right, or those of the model as it gives them.
        min_score: leave out labels with a lower score, from 0 to 1.
        unknown: the label that is answered where no other is left.
        coverage: answer the set of labels that holds the right one in so large a share of cases, such as 0.95.
        receipt: a signed receipt beside each answer.
    """

    model: str | None
    top_k: int | Literal["all"] | None
    truncate: bool | None
    long_text: Literal["truncate", "windows"] | None
    window_join: Literal["mean", "max", "first-last"] | None
    version: int | None
    calibrated: bool | None
    min_score: float | None
    unknown: str | None
    coverage: float | None
    receipt: bool | None


def fields_of(options: Mapping[str, Any], model: str | None) -> dict[str, Any]:
    """The fields of the request's body that say what is asked.

    Args:
        options: as a call was given them.
        model: the client's, for calls that name none.

    Raises:
        TypeError: there is no such option.
    """
    if unknown := sorted(set(options) - Options.__annotations__.keys()):
        raise TypeError(f"there is no option {unknown[0]!r}: there are {', '.join(Options.__annotations__)}")
    return {
        name: value for name, value in {**options, "model": options.get("model") or model}.items() if value is not None
    }
