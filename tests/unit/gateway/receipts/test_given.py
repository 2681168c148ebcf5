"""Receipts and texts are taken from files, standard input and arguments, and what is none is named."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.__main__ import cli
from gateway.encoding import Text
from tests.unit.gateway.receipts.signing import SENTENCE, Signing, new_signing

TEXTS = ["cat", "oak fig", "fig"]


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return new_signing(tmp_path_factory.mktemp("given"))


@pytest.fixture
def answers(signing: Signing, tmp_path: Path) -> Path:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(signing.answers([Text(text) for text in TEXTS])))
    return path


def test_many_answers_are_checked_with_lines_or_with_the_body_that_was_sent(
    signing: Signing, answers: Path, tmp_path: Path
) -> None:
    (tmp_path / "lines").write_text("\n".join(TEXTS) + "\n\n")
    (tmp_path / "crlf").write_bytes("\r\n".join(TEXTS).encode("utf-8-sig"))
    (tmp_path / "body").write_text(json.dumps({"sentences": ["'cat'", *TEXTS[1:]], "receipt": True, "top_k": 1}))
    for name in ("lines", "crlf", "body"):
        done = signing.verify(answers, "--sentences", tmp_path / name)
        assert (done.exit_code, done.output) == (0, "3 receipts: 3 bit for bit the same.\n"), name


def test_the_one_that_is_wrong_is_named(signing: Signing, answers: Path, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("cat\nfig\nfig\n")
    done = signing.verify(answers, "--sentences", tmp_path / "lines")
    assert done.exit_code == 6
    first, last = done.output.splitlines()
    assert first.startswith("Receipt 2: Failed: the text is not the one")
    assert last == "3 receipts: 2 bit for bit the same, 1 failed."
    found = json.loads(signing.verify(answers, "--sentences", tmp_path / "lines", "--json").output)
    assert [each["exit_status"] for each in found] == [0, 6, 0]
    assert found[0]["receipt"]["labels"] == ["Animal", "Fruit", "Plant"]


def test_receipts_come_by_standard_input_and_one_a_line(signing: Signing, tmp_path: Path) -> None:
    receipt = signing.receipt()
    arguments = ["verify", "-", "--sentence", SENTENCE, "--key", str(signing.folder / "key.pub")]
    arguments += ["--repository", str(signing.store.folder.parent)]
    for given in (receipt, f"  {receipt}\n\n", json.dumps({"receipt": receipt})):
        assert CliRunner().invoke(cli, arguments, input=given).exit_code == 0
    (tmp_path / "two").write_text(f"{receipt}\n{receipt}\n")
    (tmp_path / "texts").write_text(f"{SENTENCE}\n{SENTENCE}\n")
    assert signing.verify(tmp_path / "two", "--sentences", tmp_path / "texts").exit_code == 0


def test_the_gateway_s_own_key_is_trusted_where_it_is_set(signing: Signing) -> None:
    arguments = ["verify", signing.receipt(), "--repository", str(signing.store.folder.parent)]
    arguments += ["--sentence", SENTENCE]
    own = {"RECEIPT_KEY": str(signing.folder / "key")}
    assert CliRunner().invoke(cli, arguments, env=own).exit_code == 0
    done = CliRunner().invoke(cli, arguments, env={"RECEIPT_KEY": ""})
    assert done.exit_code == 2
    assert "no key is trusted: give --key PUBLIC" in done.output


def test_a_mistake_is_one_line_and_status_2(signing: Signing, answers: Path, tmp_path: Path) -> None:
    receipt = signing.receipt()
    files = {
        "empty": "",
        "noise": "what is this",
        "half.json": '{"receipt": ',
        "list.json": '[{"label": "cat", "score": 1}]',
        "three": "\n".join(TEXTS),
        "pairs.json": '{"pairs": [["cat"]]}',
        "neither.json": '{"words": []}',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    header, payload, rest = receipt.split(".")
    cases = {
        "holds no receipt": [tmp_path / "empty"],
        "this is no receipt: one begins with eyJ": [tmp_path / "noise"],
        "is no JSON": [tmp_path / "half.json"],
        "ask with receipt=true": [tmp_path / "list.json"],
        "cannot be read: No such file": [tmp_path / "nowhere"],
        "1 receipts and 3 texts": [receipt, "--sentences", tmp_path / "three"],
        "is no body of POST /classify": [receipt, "--sentences", tmp_path / "pairs.json"],
        "give one of sentences, pairs and ideas": [receipt, "--sentences", tmp_path / "neither.json"],
        "not both": [receipt, "--sentence", "a", "--sentences", tmp_path / "three"],
        "--text-pair goes with --sentence": [receipt, "--text-pair", "a"],
        "standard input is one thing": ["-", "--sentences", "-"],
        "lacks alg EdDSA": [f"eyJhbGciOiJub25lIn0.{payload}.{rest}"],
        "one begins with eyJ and has two points": [f"{header}.{payload}!.{rest}"],
        "is no key: give a key": [receipt, "--key", answers],
    }
    for told, arguments in cases.items():
        done = signing.verify(*arguments)
        assert done.exit_code == 2, (told, done.output)
        assert told in done.output
        assert len(done.output.splitlines()) == 1, done.output


def test_a_repository_that_cannot_be_asked_is_no_verdict(signing: Signing) -> None:
    done = signing.verify(signing.receipt(), "--sentence", SENTENCE, "--repository", "s3://127.0.0.1:9/models/x")
    assert done.exit_code == 1
    assert len(done.output.splitlines()) == 1, done.output


def test_bytes_that_are_no_text_are_another_input(signing: Signing, tmp_path: Path) -> None:
    assert signing.verify(signing.receipt(), "--sentence", "cat \udcff").exit_code == 6
    (tmp_path / "body.json").write_text('{"sentences": ["\\ud800"]}')
    assert signing.verify(signing.receipt(), "--sentences", tmp_path / "body.json").exit_code == 6
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    done = signing.verify(signing.receipt(), "--sentences", tmp_path / "latin")
    assert (done.exit_code, "is no text in UTF-8" in done.output) == (2, True)
