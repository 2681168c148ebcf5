"""Whatever of a receipt is changed, `verify` says which check failed, by its exit status and in a sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.encoding import Text
from gateway.receipts.keys import make_key
from gateway.receipts.statement import Kernels, Statement
from gateway.schemas import Options
from repository.manifest import MANIFEST_FILE, MODEL_FILE, Manifest, Precision, ProblemType
from tests.receipts import payload_of, signed_again, with_payload
from tests.student_versions import cascade, write_with_student
from tests.unit.gateway.receipts.signing import FEW, SENTENCE, Signing, new_receipts, new_signing
from tests.version_folders import write_golden, write_version

USER_MISTAKE, BAD_SIGNATURE, UNKNOWN_KEY, NO_VERSION, OTHER_INPUT, OTHER_ANSWER, NOT_COMPUTED = range(2, 9)

CHANGES: dict[str, Any] = {
    "receipt": 2,
    "time": "2020-01-01T00:00:00.000Z",
    "request_id": "another",
    "model": "another",
    "version": 7,
    "version_digest": "0" * 64,
    "texts": 2,
    "input_digest": "0" * 64,
    "tokens": 4,
    "cut_tokens": 1,
    "options": {"top_k": 2, "truncate": True, "version": None},
    "threshold": 0.25,
    "answered_by": "student",
    "labels": ["Plant", "Animal", "Fruit"],
    "logits": ["3f800000", "3f800000", "3f800000"],
    "answer": [{"label": "Plant", "score": 0.99}],
    "computed_by": {"onnxruntime": "9", "provider": "cuda", "cpu": "unknown"},
}
# Of what its own key signed: None where nobody can tell, since only the signer knew.
SIGNED_AGAIN: dict[str, tuple[int | None, str]] = {
    "receipt": (USER_MISTAKE, "may be of a newer gateway"),
    "time": (None, ""),
    "request_id": (None, ""),
    "model": (NO_VERSION, "it holds none"),
    "version": (None, "version 7 is not there any more; 1 has the same content"),
    "version_digest": (NO_VERSION, "its manifest was changed"),
    "texts": (OTHER_INPUT, "a pair of texts was classified"),
    "input_digest": (OTHER_INPUT, "the text is not the one"),
    "tokens": (OTHER_ANSWER, "5 tokens here"),
    "cut_tokens": (OTHER_ANSWER, "0 are cut"),
    "options": (OTHER_ANSWER, "does not follow from the logits"),
    "threshold": (None, ""),
    "answered_by": (OTHER_ANSWER, "the version has none"),
    "labels": (OTHER_ANSWER, "the labels are not those"),
    "logits": (OTHER_ANSWER, "does not follow from the logits"),
    "answer": (OTHER_ANSWER, "does not follow from the logits"),
    "computed_by": (None, ""),
}


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return new_signing(tmp_path_factory.mktemp("checks"))


def test_every_field_is_tried() -> None:
    assert set(CHANGES) == set(SIGNED_AGAIN) == set(Statement.model_fields)


def test_a_receipt_is_right(signing: Signing) -> None:
    done = signing.verify(signing.receipt(), "--sentence", SENTENCE, "--exact")
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == "Answer: computed anew, bit for bit the same (3 logits)."


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_is_changed_breaks_the_signature(signing: Signing, name: str) -> None:
    receipt = signing.receipt()
    assert payload_of(receipt)[name] != CHANGES[name]
    done = signing.verify(with_payload(receipt, **{name: CHANGES[name]}), "--sentence", SENTENCE)
    assert done.exit_code == BAD_SIGNATURE
    assert "the signature does not fit" in done.output


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_its_own_key_lied_about_is_found_where_it_can_be(signing: Signing, name: str) -> None:
    lie = signed_again(signing.receipt(), signing.receipts.key, **{name: CHANGES[name]})
    done = signing.verify(lie, "--sentence", SENTENCE)
    status, told = SIGNED_AGAIN[name]
    assert done.exit_code == (status or 0), done.output
    assert told in done.output


@pytest.mark.parametrize("name", ["time", "logits"])
def test_what_another_key_signed_is_not_trusted(signing: Signing, tmp_path: Path, name: str) -> None:
    other = make_key(tmp_path / "other")
    done = signing.verify(signed_again(signing.receipt(), other, **{name: CHANGES[name]}), "--sentence", SENTENCE)
    assert done.exit_code == UNKNOWN_KEY
    assert other.key_id in done.output


def test_a_key_that_claims_to_be_another_is_found(signing: Signing, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    own_header = signing.receipt().partition(".")[0]
    _, _, rest = signed_again(signing.receipt(), other).partition(".")
    assert signing.verify(f"{own_header}.{rest}", "--sentence", SENTENCE).exit_code == BAD_SIGNATURE


def test_logits_that_are_another_computation_s_are_found(signing: Signing) -> None:
    receipt = signing.receipt(logits_off_by=0.01)
    done = signing.verify(receipt, "--sentence", SENTENCE)
    assert done.exit_code == OTHER_ANSWER
    assert "computed anew, the answer is another: logits differ by up to 0.01, 0.001 allowed" in done.output


def test_a_last_bit_is_within_the_tolerance_and_is_named(signing: Signing) -> None:
    receipt = signing.receipt(logits_off_by=1e-5)
    done = signing.verify(receipt, "--sentence", SENTENCE)
    assert done.exit_code == 0
    assert "within the tolerance, not bit for bit" in done.output
    assert "(the same kernels)" in done.output
    assert signing.verify(receipt, "--sentence", SENTENCE, "--exact").exit_code == OTHER_ANSWER


def test_another_provider_gets_the_wider_bound_and_is_named(tmp_path: Path) -> None:
    version = write_version(tmp_path / "version", FEW, weight=1.0)
    write_golden(version, ["cat"], max_logit_difference=0.2)
    signing = new_signing(tmp_path, version)
    told = Kernels(onnxruntime="1.0", provider="cuda", cpu="unknown")
    signing.receipts = new_receipts(signing.receipts.key, told)
    done = signing.verify(signing.receipt(logits_off_by=0.15), "--sentence", SENTENCE)
    assert done.exit_code == 0
    assert "0.2 allowed (another ONNX Runtime and provider; processor unknown)" in done.output
    assert signing.verify(signing.receipt(logits_off_by=0.25), "--sentence", SENTENCE).exit_code == OTHER_ANSWER


def test_int8_without_golden_sentences_gets_the_bound_of_its_precision(tmp_path: Path) -> None:
    version = write_version(tmp_path / "version", FEW, weight=1.0)
    Manifest.read(version).model_copy(update={"precision": Precision.INT8}).write(version)
    signing = new_signing(tmp_path, version)
    done = signing.verify(signing.receipt(logits_off_by=0.1), "--sentence", SENTENCE)
    assert done.exit_code == 0
    assert "0.2 allowed" in done.output


def test_another_sentence_or_another_salt_is_another_input(signing: Signing) -> None:
    receipt = signing.receipt()
    assert signing.verify(receipt, "--sentence", "cat oak cat").exit_code == OTHER_INPUT  # the same logits
    assert signing.verify(receipt, "--sentence", SENTENCE, "--text-pair", "oak").exit_code == OTHER_INPUT
    done = signing.verify(f"{receipt.partition('~')[0]}~AAAAAAAAAAAAAAAAAAAAAA", "--sentence", SENTENCE)
    assert done.exit_code == OTHER_INPUT
    assert "or the salt was changed" in done.output


def test_without_text_or_salt_it_says_how_far_it_got(signing: Signing) -> None:
    receipt = signing.receipt()
    for done, missing in (
        (signing.verify(receipt), "the text was not given"),
        (signing.verify(receipt.partition("~")[0], "--sentence", SENTENCE), "salt was cut off"),
    ):
        assert done.exit_code == NOT_COMPUTED
        assert missing in done.output
        assert "Signature and version are right" in done.output


def test_an_answer_that_was_swapped_beside_its_receipt_is_found(signing: Signing, tmp_path: Path) -> None:
    first, second = signing.answers([Text("cat"), Text("oak")])
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"answer": second["answer"], "receipt": first["receipt"]}))
    done = signing.verify(path, "--sentence", "cat")
    assert done.exit_code == OTHER_ANSWER
    assert "the answer beside the receipt is not the one that was signed" in done.output


def test_a_pair_is_no_joined_text(signing: Signing) -> None:
    (pair,) = signing.answers([Text("cat oak", "fig")])
    joined = {"cat oak fig": (), "cat": ("--text-pair", "oak fig")}
    for sentence, rest in joined.items():
        assert signing.verify(pair["receipt"], "--sentence", sentence, *rest).exit_code == OTHER_INPUT


@pytest.mark.parametrize("top_k", [0, 2])
def test_answers_of_several_labels_follow_from_the_logits(tmp_path: Path, top_k: int) -> None:
    version = write_version(tmp_path / "version", FEW, weight=1.0, problem_type=ProblemType.MULTI_LABEL)
    signing = new_signing(tmp_path, version)
    receipt = signing.receipt(options=Options(receipt=True, top_k=top_k))
    assert signing.verify(receipt, "--sentence", SENTENCE).exit_code == 0
    lie = signed_again(receipt, signing.receipts.key, answer=[])
    assert signing.verify(lie, "--sentence", SENTENCE).exit_code == OTHER_ANSWER


def test_an_option_that_this_release_does_not_know_is_signed_but_not_derived(signing: Signing) -> None:
    options = {**payload_of(signing.receipt())["options"], "of_tomorrow": 3}
    later = signed_again(signing.receipt(), signing.receipts.key, options=options, answer={"any": "form"})
    assert signing.verify(later, "--sentence", SENTENCE).exit_code == 0


def test_a_student_is_computed_by_its_own_graph_and_has_to_be_sure(tmp_path: Path) -> None:
    version = write_with_student(tmp_path / "version", FEW, {"cat": 9.0}, cascade(temperature=1.5))
    signing = new_signing(tmp_path, version)
    receipt = signing.receipt("cat", by="student")
    assert signing.verify(receipt, "--sentence", "cat", "--exact").exit_code == 0
    lie = signed_again(receipt, signing.receipts.key, answered_by="model")
    assert "the answer is another" in signing.verify(lie, "--sentence", "cat").output
    unsure = signing.verify(signing.receipt("oak", by="student"), "--sentence", "oak")
    assert unsure.exit_code == OTHER_ANSWER
    assert "is below 0.9" in unsure.output


def test_the_same_content_counts_under_any_number(tmp_path: Path) -> None:
    signing = new_signing(tmp_path)
    receipt = signing.receipt()
    assert signing.store.republish(1) == 2
    assert Manifest.read(signing.store.folder / "2").republished_from == 1
    again = signing.receipt()
    assert payload_of(again)["version_digest"] == payload_of(receipt)["version_digest"]
    signing.store.retract(1)
    done = signing.verify(receipt, "--sentence", SENTENCE)
    assert done.exit_code == 0
    assert "version 1 is not there any more; 2 has the same content" in done.output
    signing.store.retract(2)
    gone = signing.verify(receipt, "--sentence", SENTENCE)
    assert gone.exit_code == NO_VERSION
    assert "it holds none" in gone.output
    assert "Publish its folder again" in gone.output


def test_a_version_whose_files_were_changed_is_not_the_one(tmp_path: Path) -> None:
    signing = new_signing(tmp_path)
    receipt = signing.receipt()
    graph = signing.store.folder / "1" / MODEL_FILE
    graph.write_bytes(graph.read_bytes() + b"\0")
    damaged = signing.verify(receipt, "--sentence", SENTENCE)
    assert damaged.exit_code == NO_VERSION
    assert "version 1 is damaged" in damaged.output


def test_a_manifest_that_was_changed_is_another_version(tmp_path: Path) -> None:
    signing = new_signing(tmp_path)
    receipt = signing.receipt()
    manifest = signing.store.folder / "1" / MANIFEST_FILE
    manifest.write_text(manifest.read_text().replace('"max_length": 16', '"max_length": 15'))
    done = signing.verify(receipt, "--sentence", SENTENCE)
    assert done.exit_code == NO_VERSION
    assert "its manifest was changed" in done.output


def test_a_manifest_that_a_later_release_wrote_again_is_the_same(tmp_path: Path) -> None:
    """A field that is not in use says nothing, whether it is written or not."""
    signing = new_signing(tmp_path)
    receipt = signing.receipt()
    path = signing.store.folder / "1" / MANIFEST_FILE
    written = json.loads(path.read_text())
    written.update(judgements=[], cascade=None, forced=[])
    path.write_text(json.dumps(written))
    assert signing.verify(receipt, "--sentence", SENTENCE).exit_code == 0
