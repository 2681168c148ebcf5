"""How does a trial end? By a word of somebody, or by what was counted; whoever comes second changes nothing.

Gateways and commands may decide at the same moment. The record is changed once: the first ends the trial, and the
others find it ended.
"""

import logging

from repository.candidates.tally import Tally
from repository.candidates.trial import Outcome, Summary, Trial
from repository.candidates.verdict import verdict
from repository.history import VersionHistory
from repository.manifest import RepositoryError

logger = logging.getLogger(__name__)


def end(store: VersionHistory, version: int, outcome: Outcome, reason: str, summary: Summary | None = None) -> Trial:
    """End the trial of a version unless it has ended; returns how it did.

    A rejected version is deleted. The record says first that it is rejected, so that it never answers.

    Raises:
        RepositoryError: there is no such trial, or the repository cannot be asked.
        OSError: the repository cannot be written.
    """
    trials = store.change_trials(lambda found: found.ended(version, outcome, reason, summary))
    trial = next((each for each in reversed(trials.trials) if each.version == version), None)
    if trial is None:
        raise RepositoryError(f"version {version} of {store.model_name} is no candidate")
    delete_rejected(store, trial)
    return trial


def delete_rejected(store: VersionHistory, trial: Trial) -> None:
    """Delete a rejected version that is still there."""
    if trial.outcome == "rejected" and trial.version in store.numbers():
        try:
            store.retract(trial.version)
        except RepositoryError:
            if trial.version in store.numbers():  # else somebody else was faster
                raise


def decide(store: VersionHistory, tally: Tally) -> Trial | None:
    """End the running trial if its rule, or a failure, says so; returns how it ended, None while it goes on.

    Raises:
        RepositoryError, OSError: as `end`.
    """
    running = store.trials().running
    if running is None or running.version != tally.version:
        return None  # somebody else was faster
    if (found := verdict(running.rule, tally)) is None:
        return None
    return end(store, running.version, found.outcome, found.reason, tally.summary())
