"""Is this text the candidate's to answer? A hash of it says so: the same in every process of every gateway."""

from hashlib import blake2b

from gateway.encoding import Text


def place_of(text: Text, version: int) -> float:
    """A number from 0 to 1 that is the text's in the trial of this version; each trial deals texts anew."""
    joined = text.first if text.second is None else f"{text.first}\0{text.second}"
    digest = blake2b(joined.encode(errors="surrogatepass"), digest_size=8, key=b"candidate %d" % version).digest()
    return int.from_bytes(digest) / 2**64
