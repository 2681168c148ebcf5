"""`python -m tests.nemesis`: let faults strike the service while it is asked, and check the history of it."""

import contextlib
import os
import random
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, USER_MISTAKE
from server.install import ensure_installed
from server.settings import ServerSettings
from tests.nemesis.checker import check
from tests.nemesis.contents import read_own
from tests.nemesis.faults import PROCESSES, VERSIONS
from tests.nemesis.history import read
from tests.nemesis.place import Place, folder_place, own_mounts, s3_place
from tests.nemesis.report import summary
from tests.nemesis.run import HISTORY, OWN, Found, Plan, kinds_for, run
from tests.places import ROOT

KINDS = (*PROCESSES, *VERSIONS)

out = Console()
errors = Console(stderr=True)
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.command("run")
def start(
    seconds: Annotated[float, typer.Option(min=1, help="How long faults strike; then all comes to rest.")] = 1800,
    seed: Annotated[int | None, typer.Option(help="What is done follows from it (default: a new one).")] = None,
    kinds: Annotated[str, typer.Option(help=f"Faults, with commas between: some of {', '.join(KINDS)}.")] = "",
    s3: Annotated[bool, typer.Option("--s3", help="The repository lies in an S3 server, which is started.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the history is kept (default: a new one).")] = None,
) -> None:
    """Start the service, ask it, change its versions and do it harm; then check what came of every operation.

    Exit status 1: the history breaks a promise. The same seed does the same things again, though not at the same
    moments. Ctrl-C checks what there was until then.
    """
    wanted = [kind for kind in kinds.split(",") if kind]
    if unknown := [kind for kind in wanted if kind not in KINDS]:
        errors.error(f"There is no fault {unknown[0]}; there are {', '.join(KINDS)}.")
        raise typer.Exit(USER_MISTAKE)
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    is_small = not s3 and own_mounts()
    folder = folder or Path(tempfile.mkdtemp(prefix="nemesis-"))
    folder.mkdir(parents=True, exist_ok=True)
    out.print(f"Seed {seed}; the history goes to {folder}.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends as by Ctrl-C: nothing may go on running
    os.environ.setdefault("TRITON_ENV", str(ROOT / ".triton"))
    ensure_installed(ServerSettings())
    found, is_interrupted = Found(), False
    try:
        with _place(folder, s3, is_small) as place:
            known = kinds_for(place, is_small)
            for kind in [kind for kind in wanted or KINDS if kind not in known]:
                out.print(f"{kind} is left out: it cannot be had here.")
            run(
                found,
                Plan(seed, seconds, [kind for kind in wanted or known if kind in known]),
                place,
                folder,
                out.print,
            )
    except KeyboardInterrupt:
        is_interrupted = True
    out.page(summary(found, seed))
    if is_interrupted:
        errors.print("Interrupted: that is what there was until then.")
        raise typer.Exit(INTERRUPTED)
    if found.violations:
        out.print(
            f"Do it again: python -m tests.nemesis run --seconds {seconds:g} --seed {seed}{' --s3' if s3 else ''}"
        )
        raise typer.Exit(FAILED)


@app.command("check")
def check_again(folder: Path) -> None:
    """Check the history that a run has kept in FOLDER once more. Exit status 1: it breaks a promise."""
    violations = check(read_own(folder / OWN), read(folder / HISTORY))
    for violation in violations:
        out.print(str(violation))
    if violations:
        raise typer.Exit(FAILED)
    out.print("The history breaks no promise.")


@contextlib.contextmanager
def _place(folder: Path, s3: bool, is_small: bool) -> Iterator[Place]:
    if s3:
        with s3_place(folder) as remote:
            yield remote
    else:
        with folder_place(folder, is_small) as local:
            yield local


if __name__ == "__main__":
    app(prog_name="python -m tests.nemesis")
