"""Makes sure that a version is published: trains, exports and publishes what is not there yet, nothing twice."""

import tempfile
from pathlib import Path

from launcher import steps
from launcher.settings import LauncherSettings
from launcher.steps import StepFailedError
from repository.bucket import AwayError
from repository.history import VersionHistory
from repository.places import open_history
from repository.settings import RepositorySettings
from repository.store import ModelStore

__all__ = ["StepFailedError", "ensure_published", "publish_another"]


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
        steps.train(settings).run()
    with tempfile.TemporaryDirectory(prefix="export-") as temporary:
        exported = Path(temporary) / repository.model_name
        steps.export(settings, exported).run()
        steps.publish(settings, repository, exported).run()
    number = open_history(repository).numbers()[-1]
    steps.tell_tracking(settings.checkpoint, repository.model_name, number)
    return number


def _newest(store: VersionHistory) -> int | None:
    readable = [version.number for version in store.versions() if version.manifest is not None]
    return readable[-1] if readable else None
