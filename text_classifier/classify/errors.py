"""What a person did that the command cannot do."""


class UsageError(Exception):
    """An option, a file or a row that cannot be used; the message says which."""
