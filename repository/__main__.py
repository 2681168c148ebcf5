"""`python -m repository`: list, publish, roll back, pin, prune and verify the versions of a model."""

import logging
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from repository.candidates.commands import canary, candidate, promote, reject, trial_line
from repository.card_command import card
from repository.command_options import Model, Repository, settings_of, store_of
from repository.console import Console, Table, styled
from repository.exit_status import FAILED, USER_MISTAKE
from repository.figures import headline
from repository.history import VersionHistory
from repository.location import S3Location
from repository.log_lines import log_to_stderr
from repository.manifest import CONFIG_FILE, RepositoryError
from repository.missing import extra_named
from repository.publish_command import publish, rollback
from repository.s3_store import S3Store

app = typer.Typer(
    help="Manage the versions of a model that Triton serves.",
    epilog="A publish or roll-back is seen by a running Triton within a second or two; nothing has to be restarted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console()
errors = Console(stderr=True)


def _pinned(store: VersionHistory) -> int | None:
    try:
        from repository.config import pinned_version

        return pinned_version(store.config())
    except (ImportError, RepositoryError):
        return None  # a gateway's environment, without protobuf, or no config yet


def _marks(store: VersionHistory) -> dict[int, str]:
    """What is said of a version beside its number."""
    trials = {trial.version: f" {trial.outcome or 'candidate'}" for trial in store.trials().trials}
    return {**trials, **({pinned: " pinned"} if (pinned := _pinned(store)) is not None else {})}


@app.command("list")
def list_versions(repository: Repository = None, model: Model = None) -> None:
    """Show every version on disk, oldest first."""
    store = store_of(repository, model)
    marks = _marks(store)
    table = Table(title=f"{store.model_name} in {store.place.removesuffix(store.model_name).rstrip('/')}")
    for column in ("version", "created", "precision", "labels", "agreement", "macro-F1", "size", "from"):
        table.add_column(column, justify="right" if column in ("version", "size") else "left")
    for version in store.versions():
        if (manifest := version.manifest) is None:
            table.add_row(str(version.number), styled(version.problem or "", "red"))
            continue
        size = sum(digest.size_bytes for digest in manifest.files.values())
        table.add_row(
            f"{version.number}{marks.get(version.number, '')}",
            f"{manifest.created_at.astimezone():%Y-%m-%d %H:%M}",
            styled(f"{manifest.precision.value} forced", "bold red") if manifest.forced else manifest.precision.value,
            str(len(manifest.labels)),
            f"{manifest.parity.label_agreement:.2%}",
            headline(manifest.evaluation),
            f"{size / 1e6:.1f} MB",
            f"copy of {manifest.republished_from}" if manifest.republished_from else manifest.source,
        )
    if table.row_count:
        out.table(table)
    else:
        out.print(f"{store.place} holds no version yet: export and publish one.")
    for version in store.versions():
        if version.manifest is not None and version.manifest.forced:
            warning = styled(f"Version {version.number} was forced:", "bold red")
            out.print(warning, "; ".join(version.manifest.forced))
    if (running := store.trials().running) is not None:
        out.print(trial_line(running))
    if isinstance(store, S3Store):
        for number in store.incomplete():
            out.print(f"Version {number} has no manifest: its upload is under way, or was cut off (then retract it).")


for command in (publish, rollback, canary, promote, reject, candidate):
    app.command()(command)


@app.command()
def retract(
    version: Annotated[int, typer.Argument(help="Version number.")],
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Delete one version: a broken one keeps Triton from loading the one beside it."""
    store_of(repository, model).retract(version)
    out.print(f"Deleted version {version}.")


@app.command()
def configure(
    max_batch_size: Annotated[int | None, typer.Option(min=1, help="Most sentences in one execution.")] = None,
    instances: Annotated[int | None, typer.Option(min=1, help="Copies that compute at the same time.")] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="Threads of one execution; 0: the backend's choice.")
    ] = None,
    queue_delay_us: Annotated[
        int | None, typer.Option(min=0, help="Microseconds that Triton holds a request back for others to join it.")
    ] = None,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Change how Triton runs the model; a running one loads its versions again, the old ones answering meanwhile.

    What is not named stays. `python -m benchmarks tune` finds values for a machine.
    """
    from repository.config import with_changes

    given = {
        "max_batch_size": max_batch_size,
        "instance_count": instances,
        "threads": threads,
        "queue_delay_us": queue_delay_us,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        raise RepositoryError("nothing to change: name at least one option, see --help")
    store = store_of(repository, model)
    store.change_config(lambda text: with_changes(text, changes))
    out.print(f"Changed {CONFIG_FILE} of {store.model_name}: {', '.join(f'{k} {v}' for k, v in changes.items())}.")


app.command()(card)


@app.command()
def pin(
    version: Annotated[int, typer.Argument(help="Version number.")],
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Let Triton serve this version alone, whatever is published later, until `unpin`."""
    from repository.config import with_pin

    store = store_of(repository, model)
    if version in store.trials().set_aside:
        raise RepositoryError(f"version {version} is a candidate, which answers nobody by itself: promote it first")
    store.verify(version)
    store.change_config(lambda text: with_pin(text, version))
    out.print(f"Pinned version {version} of {store.model_name}.")


@app.command()
def unpin(repository: Repository = None, model: Model = None) -> None:
    """Let Triton serve the newest versions again."""
    from repository.config import with_pin

    store = store_of(repository, model)
    store.change_config(lambda text: with_pin(text, None))
    out.print(f"The newest version of {store.model_name} is served again.")


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=2, help="How many of the newest versions stay.")] = 3,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Delete all but the newest versions; a pinned one stays."""
    store = store_of(repository, model)
    deleted = store.prune(keep, spared=_pinned(store))
    out.print(f"Deleted versions {', '.join(map(str, deleted))}." if deleted else "Nothing to delete.")


@app.command()
def verify(
    version: Annotated[int | None, typer.Argument(help="Version number (default: all).")] = None,
    repository: Repository = None,
    model: Model = None,
) -> None:
    """Check that every file is the one its manifest describes, and replay the golden sentences; exit status 1 if not.

    The replay needs ONNX Runtime; without it, files alone are checked.
    """
    store = store_of(repository, model)
    failed = False
    for number in [version] if version is not None else store.numbers():
        try:
            store.verify(number)
            store.replay(number)
            out.print(f"version {number}: good")
        except RepositoryError as error:
            failed = True
            errors.print(f"version {number}: {error}")
    if failed:
        raise typer.Exit(FAILED)


@app.command()
def sync(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder for Triton to read (default: below MODEL_CACHE, as `python -m server`)."),
    ] = None,
    repository: Repository = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on for ever, every REPOSITORY_POLL_SECONDS.")] = False,
) -> None:
    """Copy what Triton loads out of S3: whole, checked versions, each by one rename."""
    if follow:
        # Nothing half done is seen, so it ends at once: as process 1 of a container it would not by itself.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = settings_of(repository)
    if not isinstance(settings.model_repository, S3Location):
        raise RepositoryError(f"{settings.model_repository} is a folder already: sync is for s3://bucket/prefix")
    from repository.mirror import Mirror

    folder = folder or settings.local_copy("triton")
    mirror = Mirror(settings.model_repository, folder)
    if follow:
        mirror.follow(settings.repository_poll_seconds)
    out.print(f"{folder} has {mirror.sync()} versions.")


@contextmanager
def running() -> Iterator[None]:
    """What holds while a command runs: mistakes become one line on stderr and exit status 2."""
    log_to_stderr()
    # As Ctrl-C does: what was begun is taken away again.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    for library in ("boto3", "botocore", "s3transfer", "urllib3"):
        logging.getLogger(library).setLevel(logging.WARNING)  # they tell of credentials that they found
    try:
        yield
    except RepositoryError as error:
        errors.error(error)
        raise SystemExit(USER_MISTAKE) from None
    except OSError as error:
        errors.error(f"{error.filename}: {error.strerror}")
        raise SystemExit(USER_MISTAKE) from None


def main() -> None:
    """Run the command line."""
    with running(), extra_named("export"):  # config.pbtxt is read by Triton's protobuf messages
        app(prog_name="python -m repository")


if __name__ == "__main__":
    main()
