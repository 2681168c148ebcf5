"""How does a program that looks every few seconds tell of what goes wrong? Each problem once, whatever it is."""

from logging import Logger

from repository.manifest import RepositoryError


class Problem:
    """The problem that one thing has now, if it has one."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._told = ""

    def tell(self, effect: str, error: Exception) -> None:
        """Log what an error leads to, unless that was told last; one that nobody foresaw with its trace."""
        foreseen = isinstance(error, RepositoryError | OSError)
        reason = str(error) if foreseen else type(error).__name__
        if isinstance(error, OSError):
            reason = error.strerror or reason  # not the path: a temporary one is another each time
        if f"{effect}: {reason}" != self._told:
            self._told = f"{effect}: {reason}"
            self._logger.error("%s", self._told, exc_info=None if foreseen else error)

    def over(self) -> None:
        """All is well: the same problem is told again if it comes back."""
        self._told = ""
