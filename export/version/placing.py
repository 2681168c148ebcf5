"""A finished version folder takes the place of an older one, whole or not at all."""

import shutil
from pathlib import Path


def put_in_place(finished: Path, output: Path) -> None:
    """Rename a finished version folder to `output`; an older one there stays until then, and if that fails."""
    if output.exists():
        retired = finished.parent / "retired"
        output.rename(retired)
        try:
            finished.rename(output)
        except OSError:
            retired.rename(output)
            raise
        shutil.rmtree(retired)
    else:
        finished.rename(output)
