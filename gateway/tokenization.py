"""A version's tokenizers: its own, and one that cuts a long text at the other end once somebody asks for that."""

import threading
import weakref
from typing import Any, Literal

from tokenizers import Tokenizer

from gateway.memory import give_back, give_back_soon

Side = Literal["left", "right"]


class Tokenizers:
    """Tokenizers of one version; what each does is set before anybody uses it and never changed after.

    A `tokenizers.Tokenizer` that is changed while other threads use it encodes wrongly, so that the end at which long
    texts are cut takes a tokenizer of its own. The second one is made when it is first asked for: most callers never
    do, and it takes as much memory as the first. What making one took beside that goes back to the system at once, the
    rest when the version's last request has been answered.
    """

    def __init__(self, own: Any) -> None:
        """`own` was just read. Blocks for some 0.1 s: call it on a thread."""
        weakref.finalize(self, give_back_soon).atexit = False
        give_back()
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
                give_back()
        return self._other
