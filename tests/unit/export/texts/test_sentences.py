"""What an export is checked on: read by its kind, tested on what the checkpoint held out, calibrated on none of it."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.texts.data_file import read_data
from export.texts.sentences import CALIBRATION_EVERY, ChosenSentences, choose_sentences
from repository.golden import GOLDEN_FILE, Golden
from repository.manifest import HeldOut, Manifest
from tests.unit.training.data.test_maps import Row, rows_of, write
from tests.word_checkpoints import tiny_bert
from tests.word_checkpoints import write as write_checkpoint
from training import SAMPLE_DATA
from training.data.load import SplitKind, TrainingData, load_data
from training.data.split_record import SPLIT_FILE

LABELS = ["Education", "Life", "Work"]


def mind_maps(maps_a_class: int = 20) -> list[Row]:
    return rows_of(maps_a_class, ideas_a_map=3, classes=tuple(LABELS))


@dataclass(frozen=True)
class Trained:
    data: TrainingData
    path: Path

    def sentences(self, *splits: str) -> set[str]:
        return {idea.text for name, ideas in self.data.splits.items() if name in splits for idea in ideas}

    def chosen(self, path: Path | None = None) -> ChosenSentences:
        return choose_sentences(read_data(path or self.path), LABELS, (self.data.record,))


def trained(folder: Path, kind: SplitKind = "groups") -> Trained:
    path = write(folder / "maps.csv", mind_maps())
    return Trained(load_data(path, kind), path)


# --- the split belongs to the checkpoint -------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "held_out"), [("groups", HeldOut.GROUPS), ("rows", HeldOut.ROWS)])
def test_a_checkpoint_is_tested_on_what_it_held_out_and_calibrated_on_what_it_saw(
    tmp_path: Path, kind: SplitKind, held_out: HeldOut
) -> None:
    of = trained(tmp_path, kind)
    chosen = of.chosen()
    assert set(chosen.compared) == of.sentences("test")
    assert set(chosen.calibration) <= of.sentences("train")
    assert chosen.held_out is held_out
    assert ("rows of maps that were trained on" in chosen.origin) == (kind == "rows")
    assert chosen.truth is not None


def test_another_file_tests_on_the_maps_that_were_held_out_and_on_no_new_ones(tmp_path: Path) -> None:
    of = trained(tmp_path)
    more = mind_maps(40)[::-1]  # with as many new maps, some of which would now be dealt to the test split
    chosen = of.chosen(write(tmp_path / "more.csv", more))
    assert set(chosen.compared) == of.sentences("test")
    assert chosen.held_out is HeldOut.GROUPS


def test_data_that_the_checkpoint_knows_nothing_of_is_no_test_split(tmp_path: Path) -> None:
    of = trained(tmp_path)
    new = [row | {"map_id": f"new {row['map_id']}", "map_title": f"new {row['map_title']}"} for row in mind_maps()]
    path = write(tmp_path / "new.csv", new)
    for chosen in (of.chosen(path), choose_sentences(read_data(path), LABELS)):
        assert chosen.held_out is None
        assert "no test split" in chosen.origin
        assert chosen.truth is not None
        assert not set(chosen.compared) & set(chosen.calibration)
    whole = len(new) - len(new) // CALIBRATION_EVERY
    assert len(choose_sentences(read_data(path), LABELS).compared) == whole


def test_what_was_trained_on_measures_no_accuracy(tmp_path: Path) -> None:
    of = trained(tmp_path)
    seen = {idea.group for idea in of.data.splits["train"]}
    chosen = of.chosen(write(tmp_path / "seen.csv", [row for row in mind_maps() if row["map_id"] in seen]))
    assert (chosen.truth, chosen.held_out) == (None, None)
    assert "all of which were trained on" in chosen.origin


def test_a_checkpoint_of_someone_elses_has_no_test_split_in_the_sample_data() -> None:
    labels = load_data(SAMPLE_DATA).labels
    chosen = choose_sentences(read_data(SAMPLE_DATA), labels)
    assert chosen.held_out is None
    assert chosen.truth is not None


# --- read by its kind --------------------------------------------------------------------------------------------

RECORDS = [{"text": f"a text, number {number}", "label": LABELS[number % 3]} for number in range(10)]
TEXTS = {str(record["text"]) for record in RECORDS}
KINDS = {
    "s.jsonl": "\n".join(map(json.dumps, RECORDS)),
    "s.json": json.dumps(RECORDS),
    "s.tsv": "text\tlabel\n" + "\n".join(f"{record['text']}\t{record['label']}" for record in RECORDS),
    "s.csv": "text;label\n" + "\n".join(f"{record['text']};{record['label']}" for record in RECORDS),
    "lines.txt": "\n".join(map(json.dumps, RECORDS)),
}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_is_read_by_its_kind_and_never_line_by_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(KINDS[name])
    chosen = choose_sentences(read_data(tmp_path / name), LABELS)
    assert {*chosen.compared, *chosen.calibration} == TEXTS
    assert chosen.truth is not None
    assert set(chosen.truth) == set(LABELS)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("s.xml", b"<a>hello</a>", "names no kind of data; give CSV, TSV, JSON Lines"),
        ("sentences", b"hello\n", "names no kind of data"),
        ("s.csv", b"words\nhello\n", "nor one called sentence or text; it has words"),
        ("s.jsonl", b"hello\n", "line 1 is not JSON"),
        ("s.jsonl", b'{"text": 5}\n', "line 1, column text: the number 5, where a text belongs"),
        ("s.tsv", b'text\tlabel\n"a \\"b\\""\tLife\n', "row 2, column text: a quotation mark is escaped"),
        ("s.txt", "mañana\n".encode("latin-1"), r"line 1 is not in UTF-8 \(byte 0xf1\)"),
        ("s.txt", b"\n \n", "holds no sentence"),
    ],
)
def test_what_is_no_data_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=expected) as caught:
        choose_sentences(read_data(tmp_path / name), LABELS)
    assert "\n" not in str(caught.value)


def test_a_line_of_text_ends_at_a_line_break_alone(tmp_path: Path) -> None:
    lines = ["one\u2028two", "{not} JSON", "three\u0085four", "[x] five\x0csix", "Cafe\u0301"]
    (tmp_path / "s.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    chosen = choose_sentences(read_data(tmp_path / "s.txt"), [], keep_all=True)
    assert chosen.compared == [*lines[:-1], "Café"]


# --- in a version ------------------------------------------------------------------------------------------------


def export(checkpoint: Path, output: Path, *options: str | Path) -> Result:
    return CliRunner().invoke(app, [str(checkpoint), "--output", str(output), *map(str, options)])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that keeps the split of `maps.csv` in it, with the labels of that."""
    folder = tmp_path_factory.mktemp("checkpoint")
    config = tiny_bert(id2label=dict(enumerate(LABELS)), label2id={name: i for i, name in enumerate(LABELS)})
    write_checkpoint(folder, config)
    trained(folder).data.record.write(folder)
    return folder


def test_the_version_says_what_it_was_tested_on_and_keeps_the_split(checkpoint: Path, tmp_path: Path) -> None:
    data, output = checkpoint / "maps.csv", tmp_path / "version"
    own = tmp_path / "own.txt"
    own.write_text("word1 word2\nword3")
    done = export(checkpoint, output, "--data", data, "--precision", "fp32", "--golden", own)
    assert done.exit_code == 0, done.output
    evaluation = Manifest.read(output).evaluation
    assert evaluation is not None
    assert (evaluation.held_out, evaluation.origin) == (HeldOut.GROUPS, "test split of maps.csv")
    assert (output / SPLIT_FILE).read_bytes() == (checkpoint / SPLIT_FILE).read_bytes()
    golden = Golden.read(output)
    assert golden is not None
    assert {sentence.text for sentence in golden.sentences} == {"word1 word2", "word3"}
    shown = CliRunner().invoke(app, ["inspect", str(output)]).output
    assert "on the test split of maps.csv" in shown
    compared = CliRunner().invoke(app, ["diff", str(output), str(output), "--data", str(data)]).output
    assert "test split of maps.csv" in compared


def test_a_checkpoint_of_something_else_is_not_calibrated_on_mind_maps(tmp_path: Path) -> None:
    folder, output = write_checkpoint(tmp_path / "checkpoint"), tmp_path / "version"
    with pytest.raises(ExportError, match="give --data") as caught:
        CliRunner().invoke(app, [str(folder), "--output", str(output), "--precision", "int8"], catch_exceptions=False)
    assert "\n" not in str(caught.value)
    done = export(folder, output, "--golden", "none")
    assert done.exit_code == 0, done.output
    manifest = Manifest.read(output)
    assert (manifest.precision.value, manifest.evaluation) == ("fp32", None)
    assert "no sentences of its own" in manifest.precision_reason
    assert GOLDEN_FILE not in manifest.files
    assert not (output / GOLDEN_FILE).exists()
