"""What does `--precision auto` ask of a rounded format, beside its tolerance? Numbers alone, quick to import."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AutomaticRule:
    """What `--precision auto` asks of a rounded format before it takes it; `export.parity.judge` holds it against it.

    Attributes:
        margin: most that accuracy and macro-F1 on labelled sentences (exact match, where a text has several labels)
            may be below float32's, and the mean absolute error of a regression above it, there in units of
            `repository.tolerances.unit_of`. The bound of a one-sided 95 % interval has to keep it.
        agreement: least share of sentences with float32's answer, again by the bound of a one-sided 95 % interval,
            where there are no labels.
        always_agreement: whether `agreement` is asked for where there are labels, too.
        confident_changes: most changed answers for each text, where float32 is not near a tie.
    """

    margin: float = 0.005
    agreement: float = 0.995
    always_agreement: bool = False
    confident_changes: float = 0.001
