"""How is a receipt written as one string? As a JWS in compact form (RFC 7515), with the salt of its input behind it.

    HEADER.PAYLOAD.SIGNATURE~SALT

The part before `~` is what any JOSE library verifies. The salt is not signed: whoever cuts it off has a receipt that
proves as much, but by which nobody can try whether the text was this one or that.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Self

from gateway.encoding import Text
from gateway.receipts.errors import NoReceiptError

ALGORITHM = "EdDSA"
"""Ed25519's name in a JWS (RFC 8037); a receipt that names another is refused, whatever it says."""
KIND = "receipt+jws"
"""Media type of the header's `typ`: a signature of this key on anything else is no receipt."""
SALT_BYTES = 16
LONGEST = 1_048_576
"""Characters of a receipt; one of a model with ten thousand labels has some 400,000."""
NO_RECEIPT = "this is no receipt: one begins with eyJ and has two points in it"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A receipt taken apart; nothing of it is checked yet."""

    key_id: str
    """Of the key that is said to have signed it."""
    payload: bytes
    signed: bytes
    """What the signature is of."""
    signature: bytes
    salt: bytes | None
    """None where it was cut off."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a receipt apart. Raises NoReceiptError: it is none."""
        token, _, salt = text.strip().partition("~")
        parts = token.split(".")
        if len(text) > LONGEST or len(parts) != 3:
            raise NoReceiptError(NO_RECEIPT)
        try:
            header = json.loads(from_base64(parts[0]))
            payload, signature = from_base64(parts[1]), from_base64(parts[2])
            found_salt = from_base64(salt) if salt else None
        except (ValueError, RecursionError):
            raise NoReceiptError(NO_RECEIPT) from None
        if not isinstance(header, dict) or header.get("alg") != ALGORITHM or header.get("typ") != KIND:
            raise NoReceiptError(f"this is signed, but is no receipt: its header lacks alg {ALGORITHM} or typ {KIND}")
        if not isinstance(header.get("kid"), str) or "crit" in header:
            raise NoReceiptError("this is no receipt: its header names no key, or asks for what nobody here knows")
        return cls(header["kid"], payload, f"{parts[0]}.{parts[1]}".encode(), signature, found_salt)


def signing_input(key_id: str, payload: bytes) -> bytes:
    """What is signed: the header and the payload, each in base64url, with a point between them."""
    header = canonical({"alg": ALGORITHM, "kid": key_id, "typ": KIND})
    return f"{to_base64(header)}.{to_base64(payload)}".encode()


def sealed(signed: bytes, signature: bytes, salt: bytes) -> str:
    """The receipt as one string."""
    return f"{signed.decode()}.{to_base64(signature)}~{to_base64(salt)}"


def canonical(value: Any) -> bytes:
    """JSON of which there is one form: keys sorted, no blanks, UTF-8 (as in RFC 8785, numbers apart)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def input_digest(text: Text, salt: bytes) -> str:
    """HMAC-SHA256 of the text, or pair, as it was classified, with the salt as its key; in hex.

    What is hashed is a JSON list of one or two strings, so that no pair is the same bytes as another text.
    """
    texts = [text.first] if text.second is None else [text.first, text.second]
    return hmac.new(salt, canonical(texts), hashlib.sha256).hexdigest()


def to_base64(data: bytes) -> str:
    """base64url without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64(text: str) -> bytes:
    """The reverse. Raises ValueError: it is not just what `to_base64` writes, so that each receipt has one form."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError("no base64url") from None
    if to_base64(data) != text:
        raise ValueError("no base64url")
    return data
