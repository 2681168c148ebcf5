"""What of a report is written, as the commands are told."""

from dataclasses import dataclass
from enum import StrEnum

UNKNOWN_LICENSE = "unknown"
"""As Hugging Face writes it."""


class ReportKind(StrEnum):
    """Values of `--report`."""

    full = "full"
    figures = "figures"
    none = "none"


@dataclass(frozen=True)
class ReportSettings:
    """What a run is to write of itself."""

    kind: ReportKind = ReportKind.full
    license_id: str = UNKNOWN_LICENSE
    baseline: bool = True
    """Whether a baseline and a learning curve are computed for it."""
