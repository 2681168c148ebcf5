"""What ends a run, and with which status."""


class BatchError(Exception):
    """A run that can't go on; the message is one sentence for the person who started it."""

    status = 1


class UsageError(BatchError):
    """Something is wrong before anything is scored: an option, a column, a file that is no table."""

    status = 2
