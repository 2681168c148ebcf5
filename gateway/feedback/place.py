"""Where does feedback go? Into a folder, or by way of one of this machine into S3."""

import asyncio
import logging
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from gateway.feedback.answer_log import AnswerLog
from gateway.feedback.counters import FeedbackCounters
from gateway.feedback.files import MB, FeedbackFiles
from gateway.feedback.keeper import FeedbackKeeper
from gateway.settings import GatewaySettings
from repository.bucket import Bucket
from repository.location import S3Location
from repository.manifest import RepositoryError
from repository.problem import Problem

logger = logging.getLogger(__name__)


class Uploader:
    """Brings files of feedback into S3, each whole, and takes them away here."""

    def __init__(self, location: S3Location, files: FeedbackFiles, every_s: float) -> None:
        """Raise RepositoryError: S3 cannot be used as things are set."""
        self._bucket = Bucket(location)
        self._files = files
        self._every_s = every_s

    async def run(self) -> None:
        """Upload now and then until cancelled, and once more then."""
        problem = Problem(logger)
        try:
            while True:
                await asyncio.to_thread(self._try, problem)
                await asyncio.sleep(self._every_s)
        finally:
            await asyncio.to_thread(self._try, problem)  # what does not go is there at the next start

    def _try(self, problem: Problem) -> None:
        try:
            self.upload()
        except (RepositoryError, OSError) as error:
            problem.tell("Feedback stays on this machine", error)
        else:
            problem.over()

    def upload(self) -> None:
        """Bring every file there that no other worker is writing to.

        A file that is there already, because the machine stopped before it was taken away, is written once more.

        Raises:
            RepositoryError: S3 does not take it.
        """
        self._files.let_go()
        with self._files.nobodys() as paths:
            for path in paths:
                if content := path.read_bytes():
                    self._bucket.write(path.name, content)
                path.unlink()


def local_folder(settings: GatewaySettings) -> Path:
    """The folder of this machine where the model's answers are remembered and its feedback is written.

    Raises:
        ValueError: feedback is off.
    """
    if settings.feedback is None:
        raise ValueError("feedback is off")
    # As of a repository in S3: a folder of its own in the cache for each place there.
    return settings.model_copy(update={"model_repository": settings.feedback}).local_copy("feedback") / (
        settings.model_name
    )


def open_feedback(
    settings: GatewaySettings, counters: FeedbackCounters
) -> tuple[FeedbackKeeper, list[Coroutine[Any, Any, None]]]:
    """What takes feedback, and what runs beside it.

    Raises:
        RepositoryError: it cannot be written where `FEEDBACK` says; the message is for whoever set that.
    """
    log = _open_log(settings)
    files = FeedbackFiles(local_folder(settings), settings.feedback_max_mb * MB, settings.feedback_fsync)
    keeper = FeedbackKeeper(settings, counters, log, files)
    if not isinstance(settings.feedback, S3Location):
        return keeper, [keeper.run()]
    uploader = Uploader(settings.feedback / settings.model_name, files, settings.feedback_upload_seconds)
    return keeper, [keeper.run(), uploader.run()]


def require_place(settings: GatewaySettings) -> None:
    """Raise RepositoryError if feedback is on and cannot be written."""
    if settings.feedback is None:
        return
    _open_log(settings).close()
    if isinstance(settings.feedback, S3Location):
        Bucket(settings.feedback)


def _open_log(settings: GatewaySettings) -> AnswerLog:
    folder = local_folder(settings)
    try:
        return AnswerLog(folder, settings.feedback_answers, settings.feedback_days)
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RepositoryError(f"{folder} cannot be written to ({reason}): name another folder") from None
