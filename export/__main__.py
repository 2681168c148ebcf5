"""`python -m export`: a Hugging Face checkpoint in, a version folder for the model repository out."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from export import ExportError
from export.commands.calibrate import calibrate_version
from export.commands.diff import diff_versions
from export.commands.export import export_checkpoint
from export.commands.inspect import inspect_version
from export.commands.profile import show_profile
from repository.console import Console
from repository.default_command import DefaultCommandGroup
from repository.exit_status import USER_MISTAKE
from repository.manifest import RepositoryError
from repository.missing import extra_named

app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Export a fine-tuned checkpoint, and look at what came out.",
    epilog="`export` is meant where no command is named; `export --help` lists its options.",
    pretty_exceptions_enable=False,
)
errors = Console(stderr=True)

# They start without PyTorch, so that --help and a wrong option are answered at once.
app.command("export")(export_checkpoint)
app.command("inspect")(inspect_version)
app.command("diff")(diff_versions)
app.command("calibrate")(calibrate_version)
app.command("profile")(show_profile)


@contextmanager
def running() -> Iterator[None]:
    """What holds while a command runs: what cannot be exported becomes one line on stderr and exit status 2."""
    # As Ctrl-C does: what was begun beside the output folder is taken away again.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        with extra_named("export"):
            yield
    except (ExportError, RepositoryError) as error:
        errors.error(error)
        raise SystemExit(USER_MISTAKE) from None


def main() -> None:
    """Run the command line."""
    with running():
        app(prog_name="python -m export")


if __name__ == "__main__":
    main()
