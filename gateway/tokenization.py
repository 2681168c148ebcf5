"""A version's tokenizers: its own, and those that cut long texts at the other end, or not at all, once one is asked."""

import threading
import weakref
from collections.abc import Callable
from typing import Any, Literal

from tokenizers import Tokenizer

from gateway.memory import give_back, give_back_soon

Side = Literal["left", "right"]


class Tokenizers:
    """Tokenizers of one version; what each does is set before anybody uses it and never changed after.

    A `tokenizers.Tokenizer` that is changed while other threads use it encodes wrongly, so that the end at which long
    texts are cut takes a tokenizer of its own, as does cutting nothing. Such a one is made when it is first asked for:
    most callers never do. It shares the vocabulary with the first, which is nearly all of its memory. What reading one
    took beside that goes back to the system at once, the rest when the version's last request has been answered.
    """

    def __init__(self, own: Any) -> None:
        """`own` was just read. Blocks for some 0.1 s: call it on a thread."""
        weakref.finalize(self, give_back_soon).atexit = False
        give_back()
        self.own = own
        self.side: Side = own.truncation["direction"]
        """Where `own` cuts."""
        self._other: Any = None
        self._whole: Any = None
        self._lock = threading.Lock()

    def cutting(self, side: Side | None) -> Any:
        """The tokenizer that cuts at this side, or the version's own; making it may take a moment."""
        if side in (None, self.side):
            return self.own
        with self._lock:
            if self._other is None:
                other = _copy(self.own)
                other.enable_truncation(self.own.truncation["max_length"], direction=side)
                self._other = other
        return self._other

    def whole(self) -> Any:
        """The tokenizer that cuts nothing; making it may take a moment."""
        with self._lock:
            if self._whole is None:
                whole = _copy(self.own)
                whole.no_truncation()
                self._whole = whole
        return self._whole


_known: "weakref.WeakValueDictionary[tuple[str, int], Tokenizers]" = weakref.WeakValueDictionary()
_known_lock = threading.Lock()


def shared(digest: str, max_length: int, load: Callable[[], Any]) -> Tokenizers:
    """The tokenizers of a version: those of another one that is held, where both have the same file and limit.

    Reading a large tokenizer keeps Python's lock for a second or more, in which nobody is answered. Most versions that
    follow each other are of one base model, and have one tokenizer: a swap between them is spared that.

    Args:
        digest: of `tokenizer.json`, which was compared with the file.
        max_length: at which texts are cut, in tokens.
        load: reads the version's own. Blocks: call this on a thread.
    """
    key = (digest, max_length)
    with _known_lock:
        found = _known.get(key)
    if found is None:
        read = Tokenizers(load())
        with _known_lock:
            found = _known.setdefault(key, read)
    return found


def _copy(own: Any) -> Any:
    """One that is the same, and may be changed; it shares the vocabulary with `own` if it can."""
    copy = _sharing(own)
    if copy is None:
        copy = Tokenizer.from_str(own.to_str())
        give_back()
    return copy


def _sharing(own: Any) -> Any | None:
    """A tokenizer with the model of `own` and its other parts: 0 MB in place of 280 with 250,000 pieces (measured).

    None if it would not be the same: tokens that were added to a vocabulary get their ids anew, in order, and a
    `tokenizer.json` may have left ids out.
    """
    other = Tokenizer(own.model)
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if (value := getattr(own, part)) is not None:
            setattr(other, part, value)
    other.encode_special_tokens = own.encode_special_tokens
    added = own.get_added_tokens_decoder()
    other.add_tokens([added[number] for number in sorted(added)])
    return other if _flags(other) == _flags(own) else None


def _flags(tokenizer: Any) -> dict[int, str]:
    """Every added token with all that is particular about it; two of them are equal already if their texts are."""
    return {number: repr(token) for number, token in tokenizer.get_added_tokens_decoder().items()}
