"""A version's tokenizers: its own, and one that cuts a long text at the other end once somebody asks for that."""

import threading
from typing import Any, Literal

from tokenizers import Tokenizer

Side = Literal["left", "right"]


class Tokenizers:
    """Tokenizers of one version; what each does is set before anybody uses it and never changed after.

    A `tokenizers.Tokenizer` that is changed while other threads use it encodes wrongly, so that the end at which long
    texts are cut takes a tokenizer of its own. The second one is made when it is first asked for: most callers never
    do, and it takes as much memory as the first.
    """

    def __init__(self, own: Any) -> None:
        self.own = own
        self.side: Side = own.truncation["direction"]
        """Where `own` cuts."""
        self._other: Any = None
        self._lock = threading.Lock()

    def cutting(self, side: Side | None) -> Any:
        """The tokenizer that cuts at this side, or the version's own; making it may take a second."""
        if side in (None, self.side):
            return self.own
        with self._lock:
            if self._other is None:
                other = Tokenizer.from_str(self.own.to_str())
                other.enable_truncation(self.own.truncation["max_length"], direction=side)
                self._other = other
        return self._other
