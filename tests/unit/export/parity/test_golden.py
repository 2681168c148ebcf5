"""Golden sentences are of all lengths, are the same every time, and an answer that is off is named with its number."""

import json
import random
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from export.texts.golden_choice import MOST_TOKENS, SENTENCES, choose_golden
from repository.__main__ import app
from repository.golden import CALL_TOKENS, GOLDEN_FILE, Golden, GoldenSentence, replay_batches
from repository.manifest import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE, Manifest, RepositoryError
from repository.store import ModelStore
from tests.version_folders import write_golden, write_manifest, write_version

WORDS = {"cat": "Animal", "dog": "Animal", "oak": "Plant"}
GOLDEN = ["cat", "oak oak cat", "dog oak"]


def test_the_shortest_and_the_longest_sentence_are_chosen_and_lengths_between_them() -> None:
    lengths = [*range(3, 60), 3, 500]
    texts = [f"sentence {index}" for index in range(len(lengths))]
    chosen = [lengths[index] for index in choose_golden(texts, lengths)]
    assert len(chosen) == SENTENCES
    assert chosen == sorted(chosen)
    assert (chosen[0], chosen[-1]) == (3, 500)
    assert len(set(chosen)) >= SENTENCES - 1


def test_the_choice_does_not_depend_on_the_order_and_takes_no_sentence_twice() -> None:
    chance = random.Random(1)
    texts = [f"sentence {index}" for index in range(100)] * 2
    lengths = {text: chance.randint(1, 30) for text in texts}
    choices = []
    for _ in range(3):
        chance.shuffle(texts)
        choices.append([texts[index] for index in choose_golden(texts, [lengths[text] for text in texts])])
    assert choices[0] == choices[1] == choices[2]
    assert len(set(choices[0])) == SENTENCES


def test_long_sentences_are_left_out_where_there_are_shorter_ones() -> None:
    lengths = [512] * 100 + list(range(1, 40))
    texts = [str(index) for index in range(len(lengths))]
    chosen = [lengths[index] for index in choose_golden(texts, lengths)]
    assert sum(chosen) <= MOST_TOKENS
    assert chosen.count(512) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_sentences_are_all_chosen(count: int) -> None:
    assert sorted(choose_golden([str(index) for index in range(count)], [5] * count)) == list(range(count))


@pytest.mark.parametrize("most", [1, 3, 64])
def test_a_replay_asks_each_sentence_once_in_calls_of_bounded_size(most: int) -> None:
    ids = [[1] * length for length in (300, 1, 64, 2, 64, 64, 64, 64, 9)]
    batches = replay_batches(ids, most)
    assert sorted(index for batch in batches for index in batch) == list(range(len(ids)))
    for batch in batches:
        assert len(batch) <= most
        assert len(batch) == 1 or len(batch) * max(len(ids[index]) for index in batch) <= CALL_TOKENS
    if most == 64:
        assert len(batches) == 3


def golden(*logits: list[float]) -> Golden:
    sentences = [GoldenSentence(text="private", ids=[1, 2], logits=row, scores=row) for row in logits]
    return Golden(max_logit_difference=0.1, sentences=sentences)


def test_the_largest_difference_is_named_but_no_text() -> None:
    expected = golden([1.0, 2.0], [3.0, 4.0], [5.0, 6.0])
    expected.check([[1.05, 2.0], [3.0, 3.95], [5.0, 6.0]])
    with pytest.raises(RepositoryError) as caught:
        expected.check([[1.2, 2.0], [3.0, 4.5], [5.0, 6.0]])
    assert "2 of 3 golden sentences" in str(caught.value)
    assert "up to 0.5 (sentence 2), 0.1 allowed" in str(caught.value)
    assert "private" not in str(caught.value)


def test_what_is_no_number_is_off() -> None:
    with pytest.raises(RepositoryError, match="up to inf"):
        golden([1.0, 2.0]).check([[1.0, float("nan")]])


def test_other_token_ids_are_told_as_the_cause() -> None:
    with pytest.raises(RepositoryError, match="1 are tokenized otherwise than at export"):
        golden([1.0], [2.0]).check([[9.0], [2.0]], ids=[[1, 3], [1, 2]])


def test_another_number_of_labels_is_refused() -> None:
    with pytest.raises(RepositoryError, match=r"logits \(1, 2\), the graph gives \(1, 3\)"):
        golden([1.0, 2.0]).check([[1.0, 2.0, 3.0]])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"max_logit_difference": 0}, "max_logit_difference"),
        ({"sentences": []}, "sentences"),
        ({"sentences": [{"text": "a", "ids": [1], "logits": [1.0], "scores": [1.0, 2.0]}]}, "as many logits"),
    ],
)
def test_a_wrong_file_is_refused_with_the_field(tmp_path: Path, change: dict[str, object], named: str) -> None:
    golden([1.0]).write(tmp_path)
    assert Golden.read(tmp_path) == golden([1.0])
    path = tmp_path / GOLDEN_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RepositoryError, match=named):
        Golden.read(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "repository", "classifier")


def test_golden_sentences_are_published_and_replayed(store: ModelStore, tmp_path: Path) -> None:
    number = store.publish(write_version(tmp_path / "exported", WORDS, golden=GOLDEN))
    assert (store.folder / str(number) / GOLDEN_FILE).is_file()
    store.verify(number)
    store.replay(number)


def test_a_version_without_golden_sentences_is_published_as_before(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS)
    assert GOLDEN_FILE not in Manifest.read(folder).files
    store.replay(store.publish(folder))


def test_a_graph_that_answers_otherwise_than_pytorch_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS, golden=GOLDEN)
    other = write_version(tmp_path / "other", WORDS, weight=3.0)
    (folder / MODEL_FILE).write_bytes((other / MODEL_FILE).read_bytes())
    write_manifest(folder, ["Animal", "Plant"])
    with pytest.raises(RepositoryError, match=r"3 of 3 golden sentences .* up to 2 "):
        store.publish(folder)
    assert store.numbers() == []


def test_a_tokenizer_that_splits_otherwise_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS, golden=GOLDEN)
    path = folder / TOKENIZER_FILE
    path.write_text(path.read_text().replace('"oak"', '"elm"'))
    write_manifest(folder, ["Animal", "Plant"])
    with pytest.raises(RepositoryError, match="2 are tokenized otherwise than at export"):
        store.publish(folder)


def test_the_bound_is_the_version_s_own(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS)
    write_golden(folder, GOLDEN, max_logit_difference=5.0)
    other = write_version(tmp_path / "other", WORDS, weight=3.0)
    (folder / MODEL_FILE).write_bytes((other / MODEL_FILE).read_bytes())
    write_manifest(folder, ["Animal", "Plant"])
    store.publish(folder)


def repository(store: ModelStore, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--repository", str(store.folder.parent)], env={"COLUMNS": "300"})


def test_verify_replays_golden_sentences(store: ModelStore, tmp_path: Path) -> None:
    store.publish(write_version(tmp_path / "exported", WORDS, golden=GOLDEN))
    assert repository(store, "verify").exit_code == 0
    other = write_version(tmp_path / "other", WORDS, weight=3.0)
    (store.folder / "1" / MODEL_FILE).write_bytes((other / MODEL_FILE).read_bytes())
    write_manifest(store.folder / "1", ["Animal", "Plant"])  # the files are those of the manifest
    result = repository(store, "verify")
    assert result.exit_code == 1
    assert "version 1: 3 of 3 golden sentences" in result.output


def test_a_forced_version_is_listed_with_what_was_overlooked(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS)
    store.publish(folder)
    assert "was forced" not in repository(store, "list").output
    Manifest.read(folder).model_copy(update={"forced": ["logits off by 3, 0.1 allowed"]}).write(folder)
    store.publish(folder)
    assert "Version 2 was forced: logits off by 3, 0.1 allowed" in repository(store, "list").output


def test_a_manifest_of_an_older_export_is_read(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", WORDS)
    path = folder / MANIFEST_FILE
    content = json.loads(path.read_text())
    del content["forced"]
    path.write_text(json.dumps(content))
    assert Manifest.read(folder).forced == []
