"""What ends a run, and with which status."""

from repository.exit_status import FAILED, USER_MISTAKE


class BatchError(Exception):
    """A run that can't go on; the message is one sentence for the person who started it."""

    status = FAILED


class UsageError(BatchError):
    """Something is wrong before anything is scored: an option, a column, a file that is no table."""

    status = USER_MISTAKE
