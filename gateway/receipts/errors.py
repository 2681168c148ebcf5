"""What ends the commands of this room, and with which status?"""

from enum import IntEnum


class Outcome(IntEnum):
    """What `verify` found; it is the exit status, 1 and 2 being those of every command."""

    SAME = 0
    """The answer is the same, bit for bit, or within the stated tolerance."""
    BAD_SIGNATURE = 3
    UNKNOWN_KEY = 4
    NO_VERSION = 5
    """The version that answered is not in the repository."""
    OTHER_INPUT = 6
    OTHER_ANSWER = 7
    NOT_COMPUTED = 8
    """Signature and version are right, but the answer was not computed anew: the text was not given."""


class KeyFileError(Exception):
    """A key file that cannot be used; the message is for the person who named it."""


class NoReceiptError(Exception):
    """What was given is no receipt, or none that this release reads."""


class CheckError(Exception):
    """A check that failed.

    Attributes:
        outcome: which one.
    """

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
