"""A key is made once, kept from others, and read in whichever form it comes."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.receipts.errors import KeyFileError
from gateway.receipts.keys import make_key, public_file, read_public_keys, read_signing_key
from tests.places import ROOT


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def pem(private: Ed25519PrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_the_command_makes_a_key_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    os.umask(old := os.umask(0))
    done = CliRunner().invoke(cli, ["receipt-key", str(path)])
    assert done.exit_code == 0
    assert os.umask(old) == old
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    key = read_signing_key(path)
    assert key.key_id in done.output
    assert set(read_public_keys([public_file(path)])) == {key.key_id}
    for line in path.read_text().splitlines()[1:-1]:
        assert line not in done.output
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("there", ["key", "key.pub"])
def test_a_key_is_never_replaced(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    done = CliRunner().invoke(cli, ["receipt-key", str(tmp_path / "key")])
    assert done.exit_code == 2
    assert "is there already" in done.output
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["receipt-key", str(tmp_path / "no" / "key")])
    assert done.exit_code == 2
    assert "cannot be written: No such file or directory" in done.output


def test_pem_and_raw_bytes_are_the_same_key(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    first = read_signing_key(write(tmp_path / "pem", pem(private)))
    second = read_signing_key(write(tmp_path / "raw", private.private_bytes_raw()))
    assert first.public == second.public
    assert first.sign(b"x") == second.sign(b"x")


def test_a_public_key_is_read_as_pem_json_and_set_and_from_the_private_one(tmp_path: Path) -> None:
    keys = [make_key(tmp_path / name) for name in ("first", "second", "third")]
    (tmp_path / "one.json").write_text(json.dumps(keys[0].public))
    (tmp_path / "set.json").write_text(json.dumps({"keys": [key.public for key in keys[:2]]}))
    assert set(read_public_keys([tmp_path / "one.json"])) == {keys[0].key_id}
    assert set(read_public_keys([tmp_path / "set.json"])) == {key.key_id for key in keys[:2]}
    together = read_public_keys([tmp_path / "set.json", public_file(tmp_path / "third"), tmp_path / "first"])
    assert set(together) == {key.key_id for key in keys}


def test_the_id_of_a_key_is_its_thumbprint_of_rfc_7638(tmp_path: Path) -> None:
    """The example of RFC 8037, appendix A.3."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    (tmp_path / "jwk").write_text(json.dumps(jwk))
    assert set(read_public_keys([tmp_path / "jwk"])) == {"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o602])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(KeyFileError, match=f"its mode is 0{mode:o}.*chmod 0600"):
        read_signing_key(tmp_path / "key")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(("mode", "taken"), [(0o440, True), (0o640, True), (0o644, False), (0o460, False)])
def test_a_mounted_secret_of_root_may_be_read_by_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, taken: bool
) -> None:
    key = make_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if taken:
        assert read_signing_key(tmp_path / "key").key_id == key.key_id
    else:
        with pytest.raises(KeyFileError, match="chmod 0640"):
            read_signing_key(tmp_path / "key")


def test_what_is_no_key_is_named_and_not_shown(tmp_path: Path) -> None:
    elliptic = generate_private_key(SECP256R1())
    other = elliptic.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other_public = elliptic.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    own = Ed25519PrivateKey.generate()
    cases = {
        "empty": (b"", "is no key"),
        "text": (b"top-secret-words", "is no key"),
        "passphrase": (pem(own, b"top-secret-words"), "needs a passphrase"),
        "elliptic": (other, "a key of another kind"),
        "cut": (pem(own)[:70], "is no key"),
    }
    for name, (content, reason) in cases.items():
        with pytest.raises(KeyFileError, match=reason) as found:
            read_signing_key(write(tmp_path / name, content))
        assert "secret" not in str(found.value)
    make_key(tmp_path / "own")
    with pytest.raises(KeyFileError, match="is a public key"):
        read_signing_key(public_file(tmp_path / "own"))
    for name, content in {"ec.pub": other_public, "raw": b"x" * 32, "json": b"{}", "list": b'{"keys": [1]}'}.items():
        with pytest.raises(KeyFileError):
            read_public_keys([write(tmp_path / name, content)])
    with pytest.raises(KeyFileError, match="cannot be read: No such file"):
        read_signing_key(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["missing", "open"])
def test_a_gateway_does_not_start_with_a_key_that_it_cannot_use(tmp_path: Path, name: str) -> None:
    make_key(tmp_path / "open")
    (tmp_path / "open").chmod(0o644)
    env = {**os.environ, "RECEIPT_KEY": str(tmp_path / name), "MODEL_REPOSITORY": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "gateway"], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: RECEIPT_KEY: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_gateway_without_a_key_imports_no_cryptography() -> None:
    program = "import gateway.__main__, gateway.app, sys; print({'cryptography', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
