"""`python -m export diff` counts what changes between two versions, by label name, with each one's own tokenizer."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.commands.comparison import Comparison, Confusion, LabelCounts, compare
from export.parity.answers import Answers, ask_version
from repository.manifest import MODEL_FILE, Manifest, ProblemType
from tests.meaning_versions import write_calibrated
from tests.tiny_models import write_classifier
from tests.version_folders import write_manifest, write_version
from training import SAMPLE_DATA
from training.data.load import load_data, load_split

WORDS = {"cat": "Animal", "dog": "Animal", "oak": "Plant", "fern": "Plant"}
SENTENCES = ["cat", "dog", "oak", "fern", "cat dog oak"]


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    (tmp_path / "sentences.txt").write_text("\n".join(SENTENCES))
    return tmp_path / "sentences.txt"


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return write_version(tmp_path / "version", WORDS)


def diff(a: Path, b: Path, *arguments: str | Path, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["diff", str(a), str(b), *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def diff_json(a: Path, b: Path, *arguments: str | Path) -> Comparison:
    return Comparison.model_validate(json.loads(diff(a, b, "--json", *arguments)))


def answers(folder: Path, labels: list[str], rows: list[list[float]], kind: ProblemType) -> Answers:
    """Made-up scores `[sentences, labels]` of a version."""
    manifest = Manifest.read(folder).model_copy(update={"labels": labels, "problem_type": kind})
    return Answers(folder, manifest, np.array(rows, dtype=np.float32))


def test_a_version_agrees_with_itself(version: Path, sentences: Path) -> None:
    found = diff_json(version, version, "--data", sentences)
    assert (found.sentences, found.agreement, found.changed) == (5, 1.0, 0)
    assert found.shift.max == 0
    assert found.largest == []
    assert (found.only_in_a, found.only_in_b, found.reordered) == ([], [], False)


def test_each_version_is_tokenized_by_its_own_tokenizer(version: Path, sentences: Path, tmp_path: Path) -> None:
    # The same words under other ids: with A's tokenizer, B would take every cat for a fern.
    other = write_version(tmp_path / "other", dict(reversed(WORDS.items())))
    assert (other / "tokenizer.json").read_bytes() != (version / "tokenizer.json").read_bytes()
    assert diff_json(version, other, "--data", sentences).shift.max == 0


def test_changed_labels_are_counted_and_shown_with_their_scores(version: Path, sentences: Path, tmp_path: Path) -> None:
    other = write_version(tmp_path / "other", {**WORDS, "dog": "Plant"})
    found = diff_json(version, other, "--data", sentences)
    assert (found.agreement, found.changed) == (3 / 5, 2)
    assert found.confusion == Confusion(
        labels_a=["Animal", "Plant"], labels_b=["Animal", "Plant"], rows=[[1, 2], [0, 2]]
    )
    sure = 1 / (1 + np.exp(-4))  # one vote of weight 4
    first, second = found.largest
    assert (first.sentence, list(first.a), list(first.b), first.same) == ("dog", ["Animal"], ["Plant"], False)
    assert first.a["Animal"] == first.b["Plant"] == pytest.approx(sure)
    assert first.shift == pytest.approx(2 * sure - 1)
    assert second.sentence == "cat dog oak"  # two votes to one, then one to two: the same scores
    assert second.shift == pytest.approx(2 * sure - 1)
    assert found.shift.median == 0
    assert found.shift.max == pytest.approx(2 * sure - 1)


def test_only_as_many_sentences_are_shown_as_asked_for(version: Path, sentences: Path, tmp_path: Path) -> None:
    other = write_version(tmp_path / "other", WORDS, weight=2.0)
    changes = diff_json(version, other, "--data", sentences, "--show", "2").largest
    assert len(changes) == 2
    assert changes[0].shift >= changes[1].shift > 0
    assert all(change.same for change in changes)
    assert len(diff_json(version, other, "--data", sentences).largest) == 5
    assert "What changes most" not in diff(version, other, "--data", sentences, "--show", "0")


def test_a_label_change_comes_before_a_larger_shift(version: Path) -> None:
    labels, kind = ["x", "y"], ProblemType.SINGLE_LABEL
    a = answers(version, labels, [[0.99, 0.01], [0.51, 0.49]], kind)
    b = answers(version, labels, [[0.60, 0.40], [0.49, 0.51]], kind)
    assert [change.sentence for change in compare(a, b, ["shifts", "flips"], None, 10).largest] == ["flips", "shifts"]


def test_shifts_are_those_of_the_best_label_of_a(version: Path) -> None:
    kind, steps = ProblemType.SINGLE_LABEL, np.arange(21) / 100
    a = answers(version, ["x", "y", "z"], [[0.8, 0.1, 0.1]] * 21, kind)
    b = answers(version, ["x", "y", "z"], [[0.8 - step, 0.1 + 2 * step, 0.1 - step] for step in steps], kind)
    shift = compare(a, b, ["s"] * 21, None, 0).shift
    assert (shift.median, shift.p95, shift.max) == pytest.approx((0.10, 0.19, 0.20), abs=1e-6)


def test_labels_are_matched_by_name_whatever_their_order(version: Path) -> None:
    kind = ProblemType.SINGLE_LABEL
    a = answers(version, ["x", "y", "z"], [[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]], kind)
    b = answers(version, ["z", "x", "y"], [[0.1, 0.7, 0.2], [0.6, 0.2, 0.2]], kind)
    found = compare(a, b, ["first", "second"], None, 10)
    assert (found.agreement, found.reordered) == (1.0, True)
    assert found.shift.max == pytest.approx(0.1)
    assert found.confusion is not None
    assert found.confusion.rows == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_labels_that_only_one_version_has_are_said(version: Path, sentences: Path, tmp_path: Path) -> None:
    other = write_version(tmp_path / "other", {**WORDS, "oak": "Tree", "cat": "Pet"})
    found = diff_json(version, other, "--data", sentences)
    assert (found.only_in_a, found.only_in_b, found.reordered) == ([], ["Pet", "Tree"], False)
    assert found.agreement == 3 / 5  # dog, fern and, at three labels with a vote each, the first of them: Animal
    text = diff(version, other, "--data", sentences)
    assert "labels only in B" in text
    assert "Pet, Tree" in text
    assert "labels only in A" in diff(other, version, "--data", sentences)


def test_sets_of_labels_are_compared_for_multi_label_models(version: Path) -> None:
    kind = ProblemType.MULTI_LABEL
    a = answers(version, ["x", "y"], [[0.9, 0.8], [0.9, 0.1], [0.2, 0.1]], kind)
    b = answers(version, ["y", "x", "new"], [[0.8, 0.9, 0.1], [0.7, 0.6, 0.0], [0.1, 0.2, 0.9]], kind)
    found = compare(a, b, ["same", "one more", "a new one"], None, 10)
    assert (found.agreement, found.changed) == (pytest.approx(1 / 3), 2)
    assert found.confusion is None
    assert found.labels == [
        LabelCounts(label="x", both=2, only_a=0, only_b=0),
        LabelCounts(label="y", both=1, only_a=0, only_b=1),
        LabelCounts(label="new", both=0, only_a=0, only_b=1),
    ]
    newest, more = found.largest[:2]
    assert (newest.sentence, newest.a, list(newest.b)) == ("a new one", {}, ["new"])
    assert (more.sentence, list(more.a), sorted(more.b)) == ("one more", ["x"], ["x", "y"])
    assert more.shift == pytest.approx(0.6)


def test_a_multi_label_version_is_printed_label_by_label(sentences: Path, tmp_path: Path) -> None:
    kind = ProblemType.MULTI_LABEL
    a = write_version(tmp_path / "a", WORDS, problem_type=kind)
    b = write_version(tmp_path / "b", {**WORDS, "dog": "Plant"}, problem_type=kind)
    text = diff(a, b, "--data", sentences)
    assert "Sentences with a label" in text
    # "cat dog oak" is both an animal and a plant in either version: dog alone changes.
    assert "80.00%, 1 changed" in text


def test_regressions_are_compared_as_numbers(version: Path) -> None:
    kind = ProblemType.REGRESSION
    a = answers(version, ["stars"], [[0.0], [1.0], [5.0]], kind)
    b = answers(version, ["stars"], [[0.1], [1.0], [4.0]], kind)
    found = compare(a, b, ["close", "same", "far"], None, 10)
    assert found.agreement == pytest.approx(2 / 3)  # values range over 5: a difference of 0.26 is allowed
    assert (found.shift.median, found.shift.max) == (pytest.approx(0.1), pytest.approx(1.0))
    assert found.confusion is None
    assert found.labels is None
    assert [change.sentence for change in found.largest] == ["far", "close"]
    assert found.largest[0].b == {"stars": 4.0}


def test_a_regression_version_is_printed_with_differences(sentences: Path, tmp_path: Path) -> None:
    kind = ProblemType.REGRESSION
    a = write_version(tmp_path / "a", dict.fromkeys(WORDS, "stars"), problem_type=kind)
    b = write_version(tmp_path / "b", dict.fromkeys(WORDS, "stars"), weight=3.0, problem_type=kind)
    text = diff(a, b, "--data", sentences)
    assert "difference of values" in text
    assert "max 3.0000" in text  # three words, each worth 4 or 3


def test_answers_of_different_kinds_are_not_compared(version: Path) -> None:
    a = answers(version, ["x"], [[0.5]], ProblemType.REGRESSION)
    with pytest.raises(ExportError, match="cannot be compared"):
        compare(a, answers(version, ["x"], [[0.5]], ProblemType.MULTI_LABEL), ["s"], None, 10)
    with pytest.raises(ExportError, match="no name in common: x in A, y in B"):
        compare(a, answers(version, ["y"], [[0.5]], ProblemType.REGRESSION), ["s"], None, 10)


def test_quality_is_measured_where_the_file_has_true_labels(tmp_path: Path) -> None:
    texts, truth = load_split(SAMPLE_DATA, "test")
    labels = sorted(set(truth))
    # No word is known: every sentence gets the first label.
    version = write_version(tmp_path / "version", {f"no-such-word-{label}": label for label in labels})
    load_data(SAMPLE_DATA).record.write(version)
    found = diff_json(version, version)  # the sample data's test split
    share = truth.count(labels[0]) / len(truth)
    assert found.sentences == len(texts)
    assert found.quality_a is not None
    assert found.quality_a["accuracy"] == pytest.approx(share)
    assert found.quality_a["macro_f1"] == pytest.approx(2 * share / (1 + share) / len(labels))
    assert "A against the truth" in diff(version, version)


def test_quality_is_the_one_in_the_manifest(tmp_path: Path) -> None:
    labels = sorted(set(load_split(SAMPLE_DATA, "test")[1]))
    checkpoint = write_classifier(tmp_path / "checkpoint", labels)
    arguments = [str(checkpoint), "--output", str(tmp_path / "fp32"), "--precision", "fp32"]
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    evaluation = Manifest.read(tmp_path / "fp32").evaluation
    quality = diff_json(tmp_path / "fp32", tmp_path / "fp32").quality_b
    assert evaluation is not None
    assert quality is not None
    assert (quality["accuracy"], quality["macro_f1"]) == (evaluation.accuracy, evaluation.macro_f1)


def test_data_without_the_versions_labels_gives_no_quality(version: Path) -> None:
    assert diff_json(version, version).quality_a is None


def test_the_calibration_error_of_both_versions_is_measured_on_the_same_sentences(tmp_path: Path) -> None:
    plain = write_version(tmp_path / "plain", WORDS)
    calibrated = write_calibrated(tmp_path / "calibrated", WORDS, temperature=40.0)
    data = tmp_path / "labelled.csv"
    data.write_text("sentence,label\ncat,Animal\ndog,Plant\noak,Plant\nfern,Animal\n")
    found = diff_json(plain, calibrated, "--data", data)
    assert found.calibration_a is not None
    assert found.calibration_b is not None
    # Each is 0.98 sure by a vote of 4 for one of two labels, and half of them are right.
    sure, brought_down = (1 / (1 + np.exp(-4 / temperature)) for temperature in (1, 40))
    assert (found.calibration_a.plain, found.calibration_a.calibrated) == (pytest.approx(sure - 0.5), None)
    assert found.calibration_b.plain == pytest.approx(sure - 0.5)
    assert found.calibration_b.calibrated == pytest.approx(brought_down - 0.5)
    told = " ".join(diff(plain, calibrated, "--data", data).split())
    assert f"{brought_down - 0.5:.4f} calibrated" in told
    assert "no calibration" in told


def test_too_little_agreement_fails_for_a_script(version: Path, sentences: Path, tmp_path: Path) -> None:
    other = write_version(tmp_path / "other", {**WORDS, "dog": "Plant"})
    assert diff(version, other, "--data", sentences, "--fail-under", "0.6")
    shown = diff(version, other, "--data", sentences, "--fail-under", "0.61", "--json", status=1)
    assert Comparison.model_validate(json.loads(shown)).agreement == 0.6


def test_brackets_in_sentences_and_labels_are_shown_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "s.txt").write_text("cat [bold]dog[/bold]\n")
    a = write_version(tmp_path / "a", {"cat": "[red]", "oak": "Plant"})
    b = write_version(tmp_path / "b", {"cat": "Plant", "oak": "[red]"})
    text = diff(a, b, "--data", tmp_path / "s.txt")
    assert "[bold]dog[/bold]" in text
    assert "[red] 0.982" in text


def test_many_long_label_names_are_numbered_in_the_columns(sentences: Path, tmp_path: Path) -> None:
    a = write_version(tmp_path / "a", {f"w{i}": f"a rather long label {i}" for i in range(9)})
    b = write_version(tmp_path / "b", {f"w{i}": f"a rather long label {i}" for i in range(10)})
    text = diff(a, b, "--data", sentences)
    assert "│ 9 a rather long label 8 │" in text
    assert "10 a rather long label 9" in text  # which no row explains
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_graph_that_gives_no_numbers_is_refused(version: Path) -> None:
    model = onnx.load(version / MODEL_FILE)
    votes = next(tensor for tensor in model.graph.initializer if tensor.name == "votes")
    broken = numpy_helper.to_array(votes).copy()
    broken[4] = np.nan  # the first word: cat
    votes.CopyFrom(numpy_helper.from_array(broken, "votes"))
    onnx.save(model, version / MODEL_FILE)
    write_manifest(version, ["Animal", "Plant"])
    with pytest.raises(ExportError, match="no numbers for 2 of 5 sentences"):
        ask_version(version, SENTENCES, lambda _: None)
    (version / MODEL_FILE).write_bytes(b"no graph")
    with pytest.raises(ExportError, match="ONNX Runtime cannot run the graph"):
        ask_version(version, SENTENCES, lambda _: None)


def test_answers_come_back_in_the_order_of_the_sentences(version: Path) -> None:
    texts = ["cat " * (1 + place % 7) if place % 3 else "oak " * (1 + place % 5) for place in range(100)]
    seen: list[int] = []
    found = ask_version(version, texts, seen.append)
    assert found.scores.argmax(axis=1).tolist() == [0 if place % 3 else 1 for place in range(100)]
    assert sum(seen) == 100
    assert max(seen) == 32


def test_missing_data_is_named(version: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere\.txt does not exist"):
        diff(version, version, "--data", "nowhere.txt")
