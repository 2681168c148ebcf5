"""What is fitted of scores is what it says: temperatures, sigmoids, thresholds, and their figures on other texts."""

from typing import Any

import numpy as np
import pytest

from repository.manifest import ProblemType
from repository.meaning.calibration import Calibration
from repository.meaning.coverage import MOST_TEXTS
from training.figures.fitted_scores import fit_sigmoid, fit_temperature
from training.figures.meaning import Labelled, TooFewError, fit_meaning
from training.figures.scores import macro_f1
from training.figures.thresholds import choose_cut

LABELS = ["a", "b", "c"]
SINGLE, MULTI = ProblemType.SINGLE_LABEL, ProblemType.MULTI_LABEL


def overconfident(count: int, times: float, seed: int) -> Labelled:
    """Texts whose labels are drawn by the softmax of logits, which the model then says `times` as large."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (count, len(LABELS)))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [LABELS[random.choice(len(LABELS), p=share)] for share in shares]
    groups = [f"g{place // 3}" for place in range(count)]
    return Labelled((times * logits).astype(np.float32), truth, groups, "made up")


def of_several(count: int, seed: int, slope: float = 0.5, offset: float = -1.0) -> Labelled:
    """Labels that are true with the sigmoid of `slope` × logit + `offset`."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (count, len(LABELS)))
    true = random.random(logits.shape) < 1 / (1 + np.exp(-(slope * logits + offset)))
    truth = [tuple(label for label, has in zip(LABELS, row, strict=True) if has) for row in true]
    return Labelled(logits.astype(np.float32), truth, [str(place) for place in range(count)], "made up")


def test_a_temperature_undoes_overconfidence_on_texts_that_it_was_not_fitted_on() -> None:
    found = fit_meaning(overconfident(3000, 3.0, 1), overconfident(3000, 3.0, 2), LABELS, SINGLE).calibration
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.test is not None
    assert found.test.error.value > 0.1
    assert found.test.calibrated_error.value < 0.03
    assert found.test.calibrated_error.low is not None
    assert found.test.calibrated_log_loss < found.test.log_loss
    assert (found.sentences, found.groups) == (3000, 1000)


@pytest.mark.parametrize("temperature", [0.05, 0.7, 1.0, 3.3, 20.0])
def test_no_temperature_changes_which_label_is_best(temperature: float) -> None:
    logits = np.random.default_rng(5).normal(0, 8, (5000, 7)).astype(np.float32)
    logits[:1000, 1] = np.nextafter(logits[:1000, 0], np.float32(np.inf))  # as near as float32 goes
    scores = Calibration(temperature=temperature, sentences=1, groups=1, origin="").scores(logits)
    assert scores.dtype == np.float64
    assert (scores.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert scores.sum(axis=1) == pytest.approx(np.ones(len(logits)), abs=1e-12)
    assert np.isfinite(Calibration(temperature=0.05, sentences=1, groups=1, origin="").scores(1e4 * logits)).all()


def test_one_text_is_calibrated_as_in_company() -> None:
    logits = np.random.default_rng(6).normal(0, 5, (100, 4)).astype(np.float32)
    for given in ({"temperature": 1.7}, {"slopes": [0.5, 1, 2, 3], "offsets": [0.1, 0, -1, 2]}):
        calibration = Calibration(**given, sentences=1, groups=1, origin="")  # type: ignore[arg-type]
        alone = np.array([calibration.scores(row) for row in logits])
        assert (alone == calibration.scores(logits)).all()


def test_the_temperature_of_answers_that_are_all_right_stays_within_bounds() -> None:
    logits = np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    assert 0.05 <= fit_temperature(logits, np.arange(60) % 3) <= 0.051
    assert 19.9 <= fit_temperature(logits, (np.arange(60) + 1) % 3) <= 20


def test_each_label_s_sigmoid_is_found_and_rises() -> None:
    fitted_on, test = of_several(6000, 1), of_several(3000, 2)
    found = fit_meaning(fitted_on, test, LABELS, MULTI).calibration
    assert found.slopes == pytest.approx([0.5] * 3, abs=0.05)
    assert found.offsets == pytest.approx([-1.0] * 3, abs=0.1)
    assert found.test is not None
    assert found.test.calibrated_error.value < 0.02 < found.test.error.value
    backwards = fit_sigmoid(-fitted_on.logits[:, 0], np.array([int("a" in truth) for truth in fitted_on.truth]))
    assert backwards[0] > 0, "a higher logit never means a lower score"


def test_a_label_of_few_texts_keeps_its_sigmoid_and_its_threshold() -> None:
    random = np.random.default_rng(3)
    true = np.zeros(500, dtype=int)
    true[:9] = 1
    assert fit_sigmoid(random.normal(size=500), true) == (1.0, 0.0)
    cut = choose_cut(random.random(500), true)
    assert (cut.threshold, cut.tuned) == (0.5, False)
    assert not choose_cut(random.random(500), 1 - true).tuned


def test_the_threshold_of_largest_f1_is_that_of_trying_all() -> None:
    random = np.random.default_rng(4)
    for _ in range(20):
        true = (random.random(300) < 0.2).astype(int)
        scores = np.round(np.clip(0.3 * random.normal(size=300) + 0.3 + 0.3 * true, 0, 1), 2).astype(np.float32)
        cut = choose_cut(scores, true)

        def f1(threshold: float, scores: Any = scores, true: Any = true) -> float:
            answered = scores >= threshold
            return float(2 * (answered & (true == 1)).sum() / (answered.sum() + true.sum()))

        best = max(f1(each) for each in np.unique(scores))
        assert f1(cut.threshold) == pytest.approx(best)
        assert cut.precision == pytest.approx(true[scores >= cut.threshold].mean())


def test_a_wanted_precision_is_kept_with_the_lowest_threshold_that_keeps_it() -> None:
    random = np.random.default_rng(8)
    true = (random.random(2000) < 0.3).astype(int)
    scores = 1 / (1 + np.exp(-(3 * true - 1.5 + random.normal(size=2000))))
    cut = choose_cut(scores, true, least_precision=0.9)
    assert cut.precision is not None
    assert cut.precision >= 0.9
    lower = [each for each in np.unique(scores) if each < cut.threshold]
    assert max(true[scores >= each].mean() for each in lower) < 0.9
    assert cut.recall is not None
    assert cut.recall > choose_cut(scores, true, least_precision=0.99).recall  # type: ignore[operator]


def test_where_no_threshold_keeps_the_precision_the_best_there_is_is_taken() -> None:
    true = np.arange(200) % 2
    cut = choose_cut(np.full(200, 0.7), true, least_precision=0.9)
    assert cut.tuned
    assert cut.precision == 0.5


def test_thresholds_are_reported_beside_one_half_on_other_texts() -> None:
    fitted_on, test = of_several(3000, 1, offset=-3.0), of_several(3000, 2, offset=-3.0)
    found = fit_meaning(fitted_on, test, LABELS, MULTI).thresholds
    assert found is not None
    assert found.test is not None
    assert found.test.macro_f1_at_half is not None
    assert found.test.macro_f1 is not None
    assert found.test.macro_f1 > found.test.macro_f1_at_half + 0.05
    assert found.chosen_by == "f1"


def test_with_calibrated_scores_the_same_labels_reach_their_thresholds() -> None:
    given = of_several(2000, 5, slope=0.4)
    found = fit_meaning(given, None, LABELS, MULTI)
    assert found.thresholds is not None
    plain = 1 / (1 + np.exp(-given.logits.astype(np.float64)))
    calibrated = found.calibration.scores(given.logits)
    same = (plain >= found.thresholds.shown(None)) == (calibrated >= found.thresholds.shown(found.calibration))
    assert same.all()


def test_a_version_keeps_no_more_held_out_texts_than_its_bound_in_whole_groups() -> None:
    count = MOST_TEXTS + 500
    given = overconfident(count, 1.0, 9)
    found = fit_meaning(given, None, LABELS, SINGLE)
    assert found.held_out is not None
    assert MOST_TEXTS - 3 < found.held_out.sentences <= MOST_TEXTS
    assert found.held_out.sentences == 3 * found.held_out.groups


def test_of_few_texts_nothing_is_fitted_and_of_few_groups_no_sets() -> None:
    with pytest.raises(TooFewError, match="29 held-out texts with labels are too few, 30 are needed"):
        fit_meaning(overconfident(29, 1.0, 0), None, LABELS, SINGLE)
    given = overconfident(60, 1.0, 0)
    few = Labelled(given.logits, given.truth, ["one", "two", "three"] * 20, "made up")
    assert fit_meaning(few, None, LABELS, SINGLE).coverage is None
    with pytest.raises(ValueError, match="regression"):
        fit_meaning(given, None, LABELS, ProblemType.REGRESSION)


def test_the_figures_of_fitting_do_not_touch_the_answers() -> None:
    given = overconfident(300, 2.0, 11)
    found = fit_meaning(given, given, LABELS, SINGLE).calibration
    answers = [LABELS[place] for place in given.logits.argmax(axis=1)]
    calibrated = [LABELS[place] for place in found.scores(given.logits).argmax(axis=1)]
    assert macro_f1(given.truth, answers) == macro_f1(given.truth, calibrated)
