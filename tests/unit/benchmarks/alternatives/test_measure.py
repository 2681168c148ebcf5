"""Other servers beside this one: their answers are checked before they are timed, and each is a row, whatever comes."""

import re
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.answers import Answer, Question, difference
from benchmarks.alternatives.measure import Beside
from benchmarks.alternatives.ours import Ours
from benchmarks.alternatives.outcome import ENOUGH_FOR_P99, Figures, Loads, Outcome
from benchmarks.alternatives.processes import running
from benchmarks.alternatives.registry import ALTERNATIVES, Alternative
from benchmarks.alternatives.table import alternatives_table
from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.http_load import LoadResult
from tests.fake_alternative import EXPECTED, SENTENCES, answers, fake, launch


def measured(ours: Ours, folder: Path, alternative: Alternative) -> Outcome:
    outcome = Outcome(alternative)
    loads = Loads((1, 4), seconds=0.5, run_up_s=0.0, rounds=2)
    Beside(ours, folder, SENTENCES, loads, SENTENCES, EXPECTED, lambda _: None).measure(outcome, folder)
    return outcome


@pytest.mark.parametrize("chunked", [False, True])
def test_an_alternative_with_the_right_answers_is_timed(ours: Ours, tmp_path: Path, chunked: bool) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "cat", "1000000", *["chunked"] * chunked))
    assert outcome.reason == ""
    assert [len(rounds) for rounds in outcome.pairs.values()] == [2, 2]
    for connections in (1, 4):
        assert outcome.figures(connections).per_second > 20
        assert 0 < outcome.figures(connections).p50_ms < 1000
        assert 0 < outcome.ratios(connections)[0] <= outcome.ratios(connections)[1]


def test_a_99th_percentile_is_shown_of_a_thousand_answers_and_blank_of_fewer() -> None:
    slow = LoadResult(seconds=1.0, latencies_ms=[50.0] * 20, statuses=Counter({200: 20}))
    fast = LoadResult(seconds=1.0, latencies_ms=[1.0] * (ENOUGH_FOR_P99 - 20), statuses=Counter({200: 980}))
    assert Figures.of([fast]).p99_ms is None
    assert Figures.of([fast, slow]) == Figures(500.0, 1.0, 50.0, ENOUGH_FOR_P99)  # of all together, no mean of two
    outcome = Outcome(ALTERNATIVES[0], pairs={1: [(slow, fast)]}, memory_mb=1.0, our_memory_mb=300.0)
    row, theirs = alternatives_table([outcome]).rows
    assert (row[3], row[5]) == ("1.0", "300 MB")
    assert theirs[3:5] == ["50.0", "0.02 (0.02 … 0.02)"]


def test_answers_that_differ_are_a_row_that_says_so_and_are_not_timed(ours: Ours, tmp_path: Path) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "dog", "1000000"))
    assert "another label for 30 of 30 sentences: 'sentence 0' is dog, the pipeline says cat" in outcome.reason
    assert outcome.pairs == {}
    row = alternatives_table([outcome]).rows[-1]
    assert row[0] == "Fake 1.0"
    assert row[-1] == outcome.reason


def test_an_alternative_that_does_not_start_is_a_row_that_says_why(ours: Ours, tmp_path: Path) -> None:
    alternative = fake(tmp_path, "cat", "1000000")
    (tmp_path / "server.py").write_text("print('loading')\nraise ImportError('no engine of that name')\n")
    outcome = measured(ours, tmp_path, alternative)
    assert outcome.reason == "does not start, status 1: ImportError: no engine of that name"
    assert "no engine of that name" in alternatives_table([outcome]).to_markdown()


def test_an_alternative_that_fails_under_load_is_a_row_that_says_why(ours: Ours, tmp_path: Path) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "cat", "40"))
    assert re.search(r"failed \d+ of \d+ requests at \d connections: ", outcome.reason)
    assert outcome.pairs == {}


def test_this_server_failing_under_load_ends_the_measurement(tmp_path: Path) -> None:
    own = launch(tmp_path)
    with (
        running(fake(tmp_path, "cat", "40").command(own), {}, tmp_path, lambda: answers(own.url)) as process,
        pytest.raises(BenchmarkError, match="this server failed"),
    ):
        measured(Ours(own.url, process.pid, tmp_path), tmp_path, fake(tmp_path, "cat", "1000000"))


def test_answers_are_the_same_up_to_a_tolerance() -> None:
    found, expected = [Answer("a", 0.5), Answer("b", 0.9)], [Answer("a", 0.5008), Answer("b", 0.9)]
    assert difference(found, expected, ["x", "y"], 1e-3) is None
    assert difference(found, expected, ["x", "y"], 5e-4) == "scores differ by up to 0.0008, more than 0.0005"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'[{"label": "a"}]', b'{"error": "x"}', b'[["a", 1]]'])
def test_an_answer_in_another_form_is_told(body: bytes) -> None:
    with pytest.raises(AlternativeError, match="another form"):
        Question("/classify").read(body)


def test_each_form_of_answer_is_read() -> None:
    forms = {
        "infinity-torch": b'{"data": [[{"score": 0.1, "label": "a"}, {"score": 0.9, "label": "b"}]]}',
        "mlserver": b'{"outputs": [{"data": ["{\\"label\\": \\"b\\", \\"score\\": 0.9}"]}]}',
        "bentoml": b'[{"label": "b", "score": 0.9}]',
        "tei": b'[{"score": 0.9, "label": "b"}, {"score": 0.1, "label": "a"}]',
    }
    questions = {alternative.name: alternative.question for alternative in ALTERNATIVES}
    for name, body in forms.items():
        assert questions[name].read(body) == Answer("b", 0.9)
