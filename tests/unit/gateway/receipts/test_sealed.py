"""A receipt has one form, which any library for JOSE reads."""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from gateway.encoding import Text
from gateway.receipts.errors import NoReceiptError
from gateway.receipts.sealed import Sealed, canonical, from_base64, input_digest, to_base64
from gateway.receipts.statement import bits_of
from repository.manifest import Manifest
from tests.receipts import payload_of
from tests.unit.gateway.receipts.signing import SENTENCE, new_signing


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_receipt_is_read_and_checked_without_this_project(tmp_path: Path) -> None:
    """As a client in another language would: RFC 7515, and the digest as the guide describes it."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    signing = new_signing(tmp_path)
    token, _, salt = signing.receipt().partition("~")
    header, payload, signature = token.split(".")
    assert json.loads(decoded(header)) == {"alg": "EdDSA", "kid": signing.receipts.key.key_id, "typ": "receipt+jws"}
    public = load_pem_public_key((tmp_path / "key.pub").read_bytes())
    public.verify(decoded(signature), f"{header}.{payload}".encode())  # type: ignore[union-attr,call-arg,arg-type]
    stated = json.loads(decoded(payload))
    digest = hmac.new(decoded(salt), json.dumps([SENTENCE]).encode(), hashlib.sha256).hexdigest()
    assert stated["input_digest"] == digest
    assert decoded(payload) == json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()
    assert stated["logits"] == ["40000000", "00000000", "3f800000"]  # 2, 0 and 1
    manifest = json.loads((signing.store.folder / "1" / "manifest.json").read_text())
    assert stated["labels"] == manifest["labels"]


def test_no_receipt_holds_the_text_and_two_of_one_text_have_nothing_in_common(tmp_path: Path) -> None:
    signing = new_signing(tmp_path)
    first, second = (signing.receipt() for _ in range(2))
    assert SENTENCE not in json.dumps(payload_of(first))
    assert payload_of(first)["input_digest"] != payload_of(second)["input_digest"]


def test_what_is_hashed_of_a_text_is_its_bytes() -> None:
    salt = b"s" * 16
    texts = ["a", "ä", "a\u0308", 'a"', "a\n", "", "a ", "[a"]
    assert len({input_digest(Text(text), salt) for text in texts}) == len(texts)
    assert input_digest(Text("a", "b"), salt) != input_digest(Text('a","b'), salt)
    assert canonical(["ä", '"\n\x7f']) == '["ä","\\"\\n\x7f"]'.encode()


@pytest.mark.parametrize("text", ["YQ=", "YR", "Y", "Y\n", "Y+", "ü", "YQ\n"])
def test_only_one_spelling_of_bytes_is_taken(text: str) -> None:
    assert to_base64(b"a") == "YQ"
    assert from_base64("YQ") == b"a"
    with pytest.raises(ValueError, match="no base64url"):
        from_base64(text)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "kid": "k", "typ": "receipt+jws"},
        {"alg": "HS256", "kid": "k", "typ": "receipt+jws"},
        {"alg": "EdDSA", "kid": "k", "typ": "JWT"},
        {"alg": "EdDSA", "kid": "k"},
        {"alg": "EdDSA", "typ": "receipt+jws"},
        {"alg": "EdDSA", "kid": 1, "typ": "receipt+jws"},
        {"alg": "EdDSA", "kid": "k", "typ": "receipt+jws", "crit": ["b64"], "b64": False},
        [],
    ],
)
def test_what_something_else_signed_is_no_receipt(header: object) -> None:
    with pytest.raises(NoReceiptError):
        Sealed.parse(f"{to_base64(canonical(header))}.e30.AA~AA")


def test_an_endless_text_is_no_receipt() -> None:
    with pytest.raises(NoReceiptError):
        Sealed.parse("eyJ." * 1_000_000)


def test_bits_are_those_of_ieee_754() -> None:
    import numpy as np

    values = np.array([1.0, -0.0, 0.0, -2.5, 1e-40], dtype=np.float32)
    assert bits_of(values) == ["3f800000", "80000000", "00000000", "c0200000", "000116c2"]
    assert bits_of(values[::2]) == ["3f800000", "00000000", "000116c2"]


def test_the_manifest_has_no_field_that_is_new_to_a_receipt_by_itself() -> None:
    """A version's digest is over what its manifest says: a field that has no default would change every old one."""
    required = {name for name, field in Manifest.model_fields.items() if field.is_required()}
    assert required == {
        "source",
        "labels",
        "problem_type",
        "max_length",
        "pad_token_id",
        "precision",
        "precision_reason",
        "opset",
        "ir_version",
        "parity",
        "library_versions",
        "files",
    }
