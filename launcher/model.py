"""Makes sure that a version is published: trains, exports and publishes what is not there yet, nothing twice."""

import subprocess
import sys
import tempfile
from pathlib import Path

from launcher.settings import LauncherSettings
from repository.bucket import AwayError
from repository.history import VersionHistory
from repository.places import open_history
from repository.settings import RepositorySettings
from repository.store import ModelStore


class StepFailedError(Exception):
    """Training, export or publishing ended with an error, which it has already told the user."""


def ensure_published(settings: LauncherSettings, repository: RepositorySettings) -> int:
    """The newest readable version's number; the first one is made if there is none.

    Each step is a process of its own, so that this one stays small while the service runs.

    Raises:
        StepFailedError: a step ended with an error.
        RepositoryError: the repository is in S3 and cannot be asked.
    """
    store = open_history(repository)
    try:
        if (number := _newest(store)) is not None:
            return number
    except AwayError:
        # What was copied here earlier can be served meanwhile.
        if (number := _newest(ModelStore(repository.local_copy("triton"), repository.model_name))) is None:
            raise
        return number
    return publish_another(settings, repository)


def publish_another(settings: LauncherSettings, repository: RepositorySettings) -> int:
    """Export and publish the checkpoint as the next version, trained first if it is not there; returns its number.

    Raises:
        StepFailedError: a step ended with an error.
    """
    if not (settings.checkpoint / "config.json").is_file():
        base_model = ["--base-model", settings.base_model] if settings.base_model else []
        _run("training", "--data", str(settings.data), "--output", str(settings.checkpoint), *base_model)
    with tempfile.TemporaryDirectory(prefix="export-") as temporary:
        exported = str(Path(temporary) / repository.model_name)
        options = ["--precision", settings.precision, "--data", str(settings.data)]
        options += ["--labels", settings.labels] if settings.labels else []
        _run("export", str(settings.checkpoint), "--output", exported, *options)
        place = ["--repository", str(repository.model_repository), "--model", repository.model_name]
        _run("repository", "publish", exported, *place)
    return open_history(repository).numbers()[-1]


def _newest(store: VersionHistory) -> int | None:
    readable = [version.number for version in store.versions() if version.manifest is not None]
    return readable[-1] if readable else None


def _run(module: str, *arguments: str) -> None:
    status = subprocess.run([sys.executable, "-m", module, *arguments]).returncode
    if status != 0:
        raise StepFailedError(f"python -m {module} ended with status {status}; the reason is above.")
