"""What have all gateways counted of the candidate, and does it end its trial? Each process writes its own part of it.

Any process that finds the trial decided ends it in the repository; the record is changed once, whoever comes first. One
that may only read the repository leaves that to others, or to `python -m repository promote --by-rule`.
"""

import logging
import os
from pathlib import Path

from gateway.settings import GatewaySettings
from repository.candidates.deciding import decide, delete_rejected
from repository.candidates.tally import Tally, total
from repository.candidates.tally_place import TallyPlace, tallies_at
from repository.candidates.trial import Trial
from repository.candidates.verdict import verdict
from repository.history import VersionHistory
from repository.location import S3Location
from repository.manifest import RepositoryError
from repository.places import open_history
from repository.problem import Problem

logger = logging.getLogger(__name__)

NOT_SHARED = "What is counted of the candidate is known to this process alone"
NOT_DECIDED = "The trial is decided, but cannot be ended here: `python -m repository promote --by-rule` does it"
NOT_DELETED = "A rejected version cannot be deleted here"


class Ledger:
    """The tallies of all processes, and the repository that the trial is ended in. Everything in it blocks."""

    def __init__(self, settings: GatewaySettings) -> None:
        """Nothing is opened before there is a candidate."""
        self._settings = settings
        self._opened: tuple[TallyPlace | None, VersionHistory] | None = None
        self._sharing, self._deciding, self._deleting = Problem(logger), Problem(logger), Problem(logger)

    def add_up(self, version: int, against: int, own: Tally | None) -> tuple[Tally, int]:
        """Write what this process has counted; returns what all have, and in how many files that was."""
        tallies: list[Tally] = []
        try:
            place = self._open()[0]
            if place is not None:
                if own is not None:
                    place.write(version, own.process, own)
                tallies = [tally for tally in place.read(version) if own is None or tally.process != own.process]
                self._sharing.over()
        except (RepositoryError, OSError) as error:
            self._sharing.tell(NOT_SHARED, error)
        return total(version, against, [*tallies, *([own] if own is not None else [])]), len(tallies) + 1

    def forget(self, version: int, process: str) -> None:
        """Delete what this process has counted in a trial that is over: whoever ended it may have been too early."""
        try:
            place = self._open()[0]
            if place is not None:
                place.remove(version, process)
        except (RepositoryError, OSError) as error:
            self._sharing.tell(NOT_SHARED, error)

    def decide(self, trial: Trial, counted: Tally) -> Trial | None:
        """End the trial if what was counted says so; returns how it ended, None if it goes on or cannot be ended."""
        if verdict(trial.rule, counted) is None:
            return None
        try:
            place, store = self._open()
            if (ended := decide(store, counted)) is not None and place is not None:
                place.clear(trial.version)
            self._deciding.over()
        except ImportError as error:
            self._deleting.tell(NOT_DELETED, RepositoryError(f"it has students, and {error}"))
            return None
        except (RepositoryError, OSError) as error:
            self._deciding.tell(NOT_DECIDED, error)
            return None
        return ended

    def tidy(self, trial: Trial) -> None:
        """Delete a rejected version that whoever rejected it left there."""
        try:
            delete_rejected(self._open()[1], trial)
            self._deleting.over()
        except ImportError as error:  # their view has a config, and what reads it is not installed with a gateway
            self._deleting.tell(NOT_DELETED, RepositoryError(f"it has students, and {error}"))
        except (RepositoryError, OSError) as error:
            self._deleting.tell(NOT_DELETED, error)

    def _open(self) -> tuple[TallyPlace | None, VersionHistory]:
        if self._opened is None:
            settings = self._settings
            location = settings.tally_location
            place = tallies_at(location, settings.model_name) if _may_write(location) else None
            if place is None:
                self._sharing.tell(NOT_SHARED, RepositoryError("the repository is read-only: set CANDIDATE_STATE"))
            self._opened = place, open_history(settings)
        return self._opened


def _may_write(location: Path | S3Location) -> bool:
    """Whether a folder can be written, as far as it is known before trying; nobody asks S3 that."""
    if isinstance(location, S3Location):
        return True
    there = location
    while not there.exists() and there != there.parent:
        there = there.parent
    return os.access(there, os.W_OK)
