"""Receipts in tests: taken apart, changed and signed again, and `python -m gateway verify` as a person runs it."""

import base64
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.receipts.keys import SigningKey
from gateway.receipts.sealed import canonical, signing_input
from tests.places import ROOT


def payload_of(receipt: str) -> dict[str, Any]:
    """What a receipt states."""
    part = receipt.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def with_payload(receipt: str, /, **changes: Any) -> str:
    """The receipt with other fields under the same signature."""
    header, _, rest = receipt.split(".")
    payload = base64.urlsafe_b64encode(canonical({**payload_of(receipt), **changes})).rstrip(b"=").decode()
    return f"{header}.{payload}.{rest}"


def signed_again(receipt: str, key: SigningKey, /, **changes: Any) -> str:
    """The receipt with other fields, signed by a key: what its owner could make up."""
    _, _, salt = receipt.partition("~")
    signed = signing_input(key.key_id, canonical({**payload_of(receipt), **changes}))
    signature = base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=").decode()
    return f"{signed.decode()}.{signature}~{salt}"


@dataclass(frozen=True)
class Verified:
    """How `verify` ended."""

    status: int
    output: str
    errors: str

    def found(self) -> list[dict[str, Any]]:
        """What --json printed."""
        found: list[dict[str, Any]] = json.loads(self.output)
        return found


def verify(receipt: str | Path, *options: str | Path, stdin: str = "", **env: str) -> Verified:
    """Run `python -m gateway verify`."""
    command = [sys.executable, "-m", "gateway", "verify", str(receipt), *map(str, options)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, input=stdin, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Verified(done.returncode, done.stdout, done.stderr)
