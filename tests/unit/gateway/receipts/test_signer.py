"""What is the same in each receipt of a version is asked for once; what Triton did not say is asked for again."""

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from gateway.classifier import Predictions
from gateway.files import LocalFiles
from gateway.loaded_version import LoadedVersion
from gateway.receipts import signer
from gateway.receipts.statement import Kernels
from gateway.schemas import ClassifyQuery, Options
from gateway.settings import GatewaySettings
from tests.unit.gateway.receipts.signing import new_receipts, new_signing


def sign_nothing(receipts: signer.Receipts, version: LoadedVersion) -> None:
    """Look the facts up, as a request does."""
    asyncio.run(receipts.beside([], "request", [], Predictions(version, []), Options(receipt=True), GatewaySettings()))


def test_triton_is_asked_once_a_version_and_again_where_it_did_not_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing, asked = new_signing(tmp_path), []

    async def away() -> Kernels:
        asked.append(len(asked))
        return Kernels() if len(asked) == 1 else signing.kernels

    receipts = new_receipts(signing.receipts.key, signing.kernels)
    receipts._kernels = away
    version = LoadedVersion.read(LocalFiles(signing.store.folder), 1)
    for _ in range(3):
        sign_nothing(receipts, version)
    assert len(asked) == 1
    monkeypatch.setattr(signer, "ASKED_AGAIN_S", 0.0)
    for _ in range(3):
        sign_nothing(receipts, version)
    assert len(asked) == 2
    sign_nothing(receipts, LoadedVersion.read(LocalFiles(signing.store.folder), 1))  # read anew
    assert len(asked) == 3


def test_no_version_is_kept_in_memory_for_its_receipts(tmp_path: Path) -> None:
    """The tokenizer of one may take 280 MB."""
    signing = new_signing(tmp_path)
    version = LoadedVersion.read(LocalFiles(signing.store.folder), 1)
    sign_nothing(signing.receipts, version)
    seen = weakref.ref(version)
    del version
    gc.collect()
    assert seen() is None


def test_what_is_signed_of_a_request_is_what_it_asked_for_but_not_its_text() -> None:
    query = ClassifyQuery(sentence="a secret", text_pair="another", top_k="all", receipt=True)
    stated = signer.stated_options(query, GatewaySettings())
    assert stated == {name: stated[name] for name in Options.model_fields if name != "receipt"}
    assert stated["top_k"] == 0


def test_a_setting_stands_in_for_an_option_of_its_name_that_was_not_given() -> None:
    """Whoever checks has to know by what an answer was made, whether its caller or the gateway's owner wanted it."""

    class Tomorrow(GatewaySettings):
        truncate: bool = True

    settings = Tomorrow(truncate=False)
    assert signer.stated_options(Options(receipt=True), settings)["truncate"] is False
    assert signer.stated_options(Options(receipt=True, truncate=True), settings)["truncate"] is True
