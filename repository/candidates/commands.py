"""What `canary`, `promote`, `reject` and `candidate` of `python -m repository` take and print."""

from typing import Annotated

import typer

from repository.candidates.deciding import decide, end
from repository.candidates.tally import Agreement, Tally, total
from repository.candidates.tally_place import TallyPlace, tallies_at
from repository.candidates.trial import Trial, require_running
from repository.candidates.verdict import described
from repository.command_options import Model, Repository, settings_of
from repository.console import Console, Table
from repository.exit_status import FAILED
from repository.history import VersionHistory
from repository.manifest import RepositoryError
from repository.places import open_history

out = Console()

Tallies = Annotated[
    str | None,
    typer.Option(
        help="Where gateways count: a folder, or s3://bucket/prefix (env CANDIDATE_STATE, else the repository)."
    ),
]


def canary(
    share: Annotated[float, typer.Argument(min=0, max=1, help="Share of requests, such as 0.05; 0 ends it.")],
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Let the candidate answer a share of the requests for real; the same text always gets the same version."""
    store = open_history(settings_of(repository, model))
    trial = require_running(store.change_trials(lambda trials: trials.with_canary(share)))
    out.print(trial_line(trial))


def promote(
    by_rule: Annotated[
        bool,
        typer.Option("--by-rule", help="Do what the candidate's rule says of what was counted: promote or reject."),
    ] = False,
    tallies: Tallies = None,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Let the candidate answer: it becomes the current version, once its golden sentences come out right.

    With --by-rule, for gateways that may not write the repository: run it every few minutes. Exit status 1 if the
    candidate was rejected; 0 if it was promoted, or not enough has been counted yet.
    """
    store, place = _opened(repository, model, tallies)
    running = require_running(store.trials())
    counted = _counted(place, running)
    if by_rule:
        if running.rule is None and counted.failure is None:
            raise RepositoryError(f"version {running.version} has no rule: it was published without --after")
        ended = decide(store, counted)
    else:
        if running.version not in store.numbers():
            raise RepositoryError(f"version {running.version} is not there: `reject` it")
        ended = end(store, running.version, "promoted", "by hand", counted.summary())
    if ended is None:
        asked = f" of {running.rule.after}" if running.rule is not None else ""
        compared = f"{counted.overall.compared}{asked} sentences"
        out.print(f"Version {running.version} stays on trial: {compared} are compared.")
        return
    _tell(ended)
    _clear(place, running)
    if by_rule and ended.outcome == "rejected":
        raise typer.Exit(FAILED)


def reject(
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the record later.")] = "by hand",
    tallies: Tallies = None,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Take the candidate away: its version is deleted, and the reason stays in the record."""
    store, place = _opened(repository, model, tallies)
    running = require_running(store.trials())
    _tell(end(store, running.version, "rejected", reason, _counted(place, running).summary()))
    _clear(place, running)


def candidate(tallies: Tallies = None, repository: Repository = None, model: Model = None) -> None:
    """Show the version that is on trial, what gateways have counted of it, and how earlier trials ended."""
    store, place = _opened(repository, model, tallies)
    trials = store.trials()
    if trials.running is not None:
        counted = _counted(place, trials.running)
        out.print(trial_line(trials.running))
        beside = f"Beside version {counted.against}: " if counted.against else "So far "
        out.print(f"{beside}{described(counted)}.")
        _agreements("label of the current version", counted.by_label)
        _agreements("script", counted.by_script)
    else:
        out.print(f"No version of {store.model_name} is on trial.")
    for trial in trials.trials:
        if trial.outcome is not None and trial.ended_at is not None:
            began, over = (f"{at.astimezone():%Y-%m-%d %H:%M}" for at in (trial.since, trial.ended_at))
            out.print(f"Version {trial.version}, from {began} to {over}: {trial.outcome}, {trial.reason}")


def trial_line(trial: Trial) -> str:
    """What a trial that runs is, in one line."""
    how = f"answers {trial.canary:.3g} of the requests" if trial.canary else "answers nobody"
    rule, by_rule = trial.rule, ""
    if rule is not None:
        by_rule = (
            f"; judged after {rule.after} sentences: agreement at least {rule.agreement:g}, at most "
            f"{rule.latency_ratio:g} times as slow, at most {rule.errors} errors"
        )
    return f"Version {trial.version} is a candidate since {trial.since.astimezone():%Y-%m-%d %H:%M}, {how}{by_rule}."


def _opened(repository: str | None, model: str | None, tallies: str | None) -> tuple[VersionHistory, TallyPlace]:
    settings = settings_of(repository, model, tallies)
    return open_history(settings), tallies_at(settings.tally_location, settings.model_name)


def _counted(place: TallyPlace, trial: Trial) -> Tally:
    """The sum of what gateways have counted, beside the version that was current last."""
    found = [tally for tally in place.read(trial.version) if tally.updated_at is not None]
    newest = max(found, key=lambda tally: str(tally.updated_at), default=None)
    return total(trial.version, newest.against if newest is not None else 0, found)


def _tell(trial: Trial) -> None:
    what = "is promoted" if trial.outcome == "promoted" else "is rejected and deleted"
    out.print(f"Version {trial.version} {what}: {trial.reason}.")


def _clear(place: TallyPlace, trial: Trial) -> None:
    """Its summary is in the record now."""
    try:
        place.clear(trial.version)
    except (RepositoryError, OSError) as error:
        out.print(f"What was counted could not be deleted, which does no harm: {error}")


def _agreements(what: str, groups: dict[str, Agreement]) -> None:
    table = Table(what, "sentences", "agreement", "95 % bounds", "confident changes")
    for name, counts in sorted(groups.items(), key=lambda item: -item[1].compared):
        bounds = f"{counts.lower:.2%} – {counts.upper:.2%}"
        table.add_row(name, str(counts.compared), f"{counts.share or 0:.2%}", bounds, str(counts.confident_changes))
    if table.row_count:
        out.table(table)
