"""`python -m export`: a Hugging Face checkpoint in, a version folder for the model repository out."""

import signal
import sys

import typer

from export import ExportError
from export.commands.diff import diff_versions
from export.commands.export import export_checkpoint
from export.commands.inspect import inspect_version
from repository.console import Console
from repository.default_command import DefaultCommandGroup
from repository.manifest import RepositoryError

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


def main() -> None:
    """Run the command line; what cannot be exported becomes one line on stderr and exit status 2."""
    # As Ctrl-C does: what was begun beside the output folder is taken away again.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app(prog_name="python -m export")
    except (ExportError, RepositoryError) as error:
        errors.error(error)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
