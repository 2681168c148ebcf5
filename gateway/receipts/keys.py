"""With which key are receipts signed, and which keys are trusted? Ed25519, read from files and made into new ones."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.receipts.errors import KeyFileError
from gateway.receipts.sealed import ALGORITHM, canonical, from_base64, to_base64
from repository.spelling import as_called

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PUBLIC_SUFFIX = ".pub"
"""Of the file beside a new key that holds its public half."""
RAW_BYTES = 32
LONGEST_BYTES = 1_048_576
RIGHT = "a key that `python -m gateway receipt-key` made, an Ed25519 key in PEM, or its 32 bytes"


@dataclass(frozen=True)
class SigningKey:
    """The private key of a gateway; shown anywhere, it shows nothing but its public half."""

    key_id: str
    public: dict[str, str]
    """The public half as a JSON Web Key (RFC 8037)."""
    _private: "Ed25519PrivateKey"

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    def sign(self, data: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._private.sign(data)


def read_signing_key(path: Path) -> SigningKey:
    """The private key in a file.

    Raises:
        KeyFileError: there is none, others may read it, or it is no Ed25519 key.
    """
    private = _private_key(_read(path), path)
    if private is None:
        raise KeyFileError(f"{path} is a public key: receipts are signed with the private one")
    _refuse_open_file(path)
    return _signing_key(private)


def read_public_keys(paths: Iterable[Path]) -> dict[str, "Ed25519PublicKey"]:
    """The public keys in files, by key id: PEM, or JSON as GET /receipts/key gives it, one key or a set of them.

    A private key stands for its public half.

    Raises:
        KeyFileError: a file cannot be read, or holds no Ed25519 key.
    """
    found = {}
    for path in paths:
        for public in _public_keys(_read(path), path):
            found[_jwk(public)["kid"]] = public
    return found


def make_key(path: Path) -> SigningKey:
    """Write a new private key, which its owner alone may read, and its public half beside it; both in PEM.

    Raises:
        KeyFileError: one of the two files is there already, or cannot be written.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    beside = public_file(path)
    if os.path.lexists(beside):
        raise KeyFileError(f"{beside} is there already: name another file")
    _write_new(path, secret, 0o600)
    try:
        _write_new(beside, public, 0o644)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise
    return _signing_key(private)


def public_file(path: Path) -> Path:
    """Where the public half of a new key lies."""
    return path.with_name(path.name + PUBLIC_SUFFIX)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError:
        raise KeyFileError(f"{path} is there already, and a key is never replaced: name another file") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException as error:
        with suppress(OSError):
            path.unlink()
        if isinstance(error, OSError):
            raise KeyFileError(f"{path} cannot be written: {error.strerror}") from None
        raise


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(LONGEST_BYTES)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None


def _refuse_open_file(path: Path) -> None:
    """Raise KeyFileError if others may read the key: PostgreSQL's rule for its own, which fits mounted secrets.

    A file of ours is ours alone; one that is root's, as a secret that an orchestrator mounts, may be read by our group.
    """
    status = path.stat()
    forbidden = stat.S_IRWXO | (stat.S_IRWXG if status.st_uid == os.geteuid() else stat.S_IWGRP | stat.S_IXGRP)
    if status.st_mode & forbidden:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        right = "0600" if status.st_uid == os.geteuid() else "0640"
        raise KeyFileError(f"others may read {path} (its mode is {mode}): chmod {right} {path}")


def _private_key(content: bytes, path: Path) -> "Ed25519PrivateKey | None":
    """The private key in a file; None if it is a public one. Raises KeyFileError: it is neither."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if len(content) == RAW_BYTES:
        return Ed25519PrivateKey.from_private_bytes(content)
    if b"-----BEGIN PUBLIC KEY-----" in content or content.lstrip().startswith(b"{"):
        return None
    try:
        private = load_pem_private_key(content, password=None)
    except TypeError:
        raise KeyFileError(f"{path} needs a passphrase: give a key without one") from None
    except Exception:  # the library's errors have no common base, and may show what they read
        raise KeyFileError(f"{path} is no key: give {as_called(RIGHT)}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyFileError(f"{path} is a key of another kind: give {as_called(RIGHT)}")
    return private


def _public_keys(content: bytes, path: Path) -> "list[Ed25519PublicKey]":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if len(content) == RAW_BYTES:  # which half it is, bytes do not say
        raise KeyFileError(f"{path} is 32 bytes: give the public key as PEM or JSON")
    private = _private_key(content, path)
    if private is not None:
        return [private.public_key()]
    try:
        if content.lstrip().startswith(b"{"):
            listed = json.loads(content)
            keys = listed.get("keys", [listed])
            return [Ed25519PublicKey.from_public_bytes(from_base64(_ed25519(key))) for key in keys]
        public = load_pem_public_key(content)
    except Exception:  # whatever lies in the file
        raise KeyFileError(f"{path} is no public key of Ed25519, as PEM or as JSON (RFC 8037)") from None
    if not isinstance(public, Ed25519PublicKey):
        raise KeyFileError(f"{path} is a key of another kind: receipts are signed with Ed25519")
    return [public]


def _ed25519(key: dict[str, Any]) -> str:
    if key["kty"] != "OKP" or key["crv"] != "Ed25519":
        raise ValueError("another kind of key")
    return str(key["x"])


def _signing_key(private: "Ed25519PrivateKey") -> SigningKey:
    jwk = _jwk(private.public_key())
    return SigningKey(jwk["kid"], jwk, private)


def _jwk(public: "Ed25519PublicKey") -> dict[str, str]:
    """The key as JSON; its id is its thumbprint (RFC 7638), which anybody can compute from it."""
    named = {"crv": "Ed25519", "kty": "OKP", "x": to_base64(public.public_bytes_raw())}
    key_id = to_base64(hashlib.sha256(canonical(named)).digest())
    return {**named, "alg": ALGORITHM, "kid": key_id, "use": "sig"}
