"""What does a request, or a setting in its place, ask of scores beyond what the model gives?"""

from dataclasses import dataclass

from gateway.errors import InvalidRequestError
from gateway.schemas import Options
from gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked; a request that asks for none of it has no wish at all."""

    options: Options
    """As the request has them: what it asks for itself is refused where it cannot be had."""
    calibrated: bool
    min_score: float | None
    unknown: str | None
    """The label that is answered where no other is left; None: an empty list is."""

    @property
    def of_model(self) -> bool:
        """Whether the model has to answer by itself: what scores mean was fitted on its answers, not on a student's."""
        return self.calibrated or self.options.coverage is not None


def wish_of(options: Options, settings: GatewaySettings) -> Wish | None:
    """What is asked; None where it is nothing but what the model gives.

    Raises:
        InvalidRequestError: the request asks for things that do not go together.
    """
    if options.coverage is not None:
        _check_coverage(options)
    calibrated = settings.calibrated if options.calibrated is None else options.calibrated
    min_score = settings.min_score if options.min_score is None else options.min_score
    unknown = options.unknown or settings.unknown_label or None
    if not calibrated and min_score is None and unknown is None and options.coverage is None:
        return None
    return Wish(options, calibrated, min_score, unknown)


def _check_coverage(options: Options) -> None:
    given = {"top_k": options.top_k, "min_score": options.min_score, "unknown": options.unknown}
    for name, value in given.items():
        if value is not None:
            raise InvalidRequestError(
                f"`coverage` answers a whole set of labels, which `{name}` would cut or replace: leave one out."
            )
