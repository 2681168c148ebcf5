"""Other servers for the same checkpoint, beside this one: same sentences, same machine, same load generator."""


class AlternativeError(RuntimeError):
    """An alternative could not be measured; the message says why, in one line."""
