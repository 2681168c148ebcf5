"""Label sets hold the right label as often as they promise: in many synthetic draws, by class, and by group."""

from pathlib import Path

import numpy as np
import pytest

from repository.binomial import lower_bound, upper_bound
from repository.meaning.coverage import HELD_OUT_FILE
from repository.meaning.held_out import HeldOut, UnreachableError, groups_needed, label_set, nonconformity_of

LABELS = ["a", "b", "c", "d"]
DRAWS = 400
# With 0.1 % a draw's count may be outside by chance; the seeds are fixed.
CONFIDENCE = 0.999


def texts_of(
    random: np.random.Generator, count: int, group_of: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits `[texts, labels]` of a mediocre, overconfident model, true labels, groups; groups share a disturbance."""
    group = np.arange(count) if group_of is None else group_of
    label = random.choice(len(LABELS), size=count, p=[0.45, 0.3, 0.2, 0.05])
    logits = random.normal(0, 2, (count, len(LABELS)))
    if group_of is not None:
        logits += random.normal(0, 2, (group.max() + 1, len(LABELS)))[group]
    logits[np.arange(count), label] += 2.5
    return (3 * logits).astype(np.float32), label, group


def held_out_of(logits: np.ndarray, label: np.ndarray, group: np.ndarray) -> HeldOut:
    return HeldOut(LABELS, nonconformity_of(logits)[np.arange(len(label)), label], label, group)


def within(logits: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Which labels are within their limits, `[texts, labels]`: the sets before a best label is put into empty ones."""
    return np.asarray(nonconformity_of(logits) <= limits)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_over_many_draws_the_sets_hold_the_right_label_as_often_as_they_promise(coverage: float) -> None:
    random = np.random.default_rng(int(1000 * coverage))
    held = np.zeros((DRAWS, len(LABELS)))
    asked = np.zeros((DRAWS, len(LABELS)))
    for draw in range(DRAWS):
        limits = held_out_of(*texts_of(random, 2000)).limits(coverage)
        assert set(limits.by_class) >= {0, 1, 2}, "these have enough texts for a limit of their own"
        logits, label, _ = texts_of(random, 50)
        right = within(logits, limits.limits)[np.arange(50), label]
        held[draw], asked[draw] = np.bincount(label, right, len(LABELS)), np.bincount(label, minlength=len(LABELS))
    count, cases = int(held.sum()), int(asked.sum())
    # Of n held-out texts the sets hold the right label in at most 1 / (n + 1) more of the cases than is promised.
    assert lower_bound(count, cases, CONFIDENCE) <= coverage + 1 / 80
    assert upper_bound(count, cases, CONFIDENCE) >= coverage
    for place in range(len(LABELS)):
        count, cases = int(held[:, place].sum()), int(asked[:, place].sum())
        assert lower_bound(count, cases, CONFIDENCE) <= coverage + 1 / 80, LABELS[place]
        assert upper_bound(count, cases, CONFIDENCE) >= coverage, LABELS[place]


def test_a_text_of_a_new_group_is_covered_where_texts_of_a_group_go_together() -> None:
    random = np.random.default_rng(7)
    coverage, covered, plain = 0.9, [], []
    for _ in range(DRAWS):
        # A few groups of forty texts and many of one: whoever counts texts counts the few large groups.
        sizes = np.where(random.random(30) < 0.2, 40, 1)
        group = np.repeat(np.arange(30), sizes)
        logits, label, _ = texts_of(random, len(group), group)
        limits = held_out_of(logits, label, group).limits(coverage)
        by_text = held_out_of(logits, label, np.arange(len(group))).limits(coverage)
        new_logits, new_label, _ = texts_of(random, 1, np.zeros(1, dtype=int))
        covered.append(within(new_logits, limits.limits)[0, new_label[0]])
        plain.append(within(new_logits, by_text.limits)[0, new_label[0]])
    assert upper_bound(sum(covered), DRAWS, CONFIDENCE) >= coverage
    assert lower_bound(sum(covered), DRAWS, CONFIDENCE) <= coverage + 1 / 31 + 0.02
    assert sum(covered) > sum(plain), "counting each text for itself would promise more than it keeps"


def test_with_one_text_a_group_the_limit_is_that_of_split_conformal_prediction() -> None:
    random = np.random.default_rng(3)
    for count in (4, 9, 19, 20, 99):
        scores = random.permutation(count).astype(float)
        held_out = HeldOut(["only"], scores, np.zeros(count), np.arange(count))
        for coverage in (0.5, 0.8, 0.9, 0.95):
            rank = int(np.ceil((count + 1) * coverage - 1e-9))
            if rank > count:
                with pytest.raises(UnreachableError):
                    held_out.limits(coverage)
            else:
                assert held_out.limits(coverage).limits == [np.sort(scores)[rank - 1]]


@pytest.mark.parametrize(("coverage", "needed"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_a_coverage_takes_so_many_groups(coverage: float, needed: int) -> None:
    assert groups_needed(coverage) == needed
    few = HeldOut(["a", "b"], np.arange(needed - 1), np.zeros(needed - 1), np.arange(needed - 1))
    with pytest.raises(UnreachableError) as refused:
        few.limits(coverage)
    assert refused.value.groups == needed - 1
    assert refused.value.most < coverage


def test_labels_of_few_groups_share_a_limit_that_enough_groups_carry() -> None:
    # 100 texts of a, 20 of b, 2 of c; 0.9 takes 9 groups, and 18 for a limit of its own.
    label = np.repeat([0, 1, 2], [100, 20, 2])
    held_out = HeldOut(["a", "b", "c"], np.arange(122.0), label, np.arange(122))
    limits = held_out.limits(0.9)
    assert limits.by_class == (0,), "c's two texts carry no limit: b shares its own with it"
    assert limits.limits[1] == limits.limits[2]
    assert limits.limits[0] < limits.limits[1]


def test_a_label_that_no_held_out_text_has_shares_a_limit() -> None:
    held_out = HeldOut(["a", "b"], np.arange(50.0), np.zeros(50), np.arange(50))
    assert held_out.limits(0.8).limits[0] == held_out.limits(0.8).limits[1]


def test_a_set_holds_the_best_label_where_no_label_is_within_the_limits_and_begins_with_it() -> None:
    held_out = HeldOut(["a", "b", "c"], np.full(30, 0.001), np.arange(30) % 3, np.arange(30))
    limits = held_out.limits(0.5)
    unsure = nonconformity_of(np.array([0.1, 0.3, 0.2], dtype=np.float32))
    assert label_set(unsure, limits).tolist() == [1]
    wide = HeldOut(["a", "b", "c"], np.full(30, 9.0), np.arange(30) % 3, np.arange(30)).limits(0.5)
    assert label_set(unsure, wide).tolist() == [1, 2, 0]


def test_what_is_written_is_read_with_the_same_limits(tmp_path: Path) -> None:
    held_out = held_out_of(*texts_of(np.random.default_rng(1), 300, np.repeat(np.arange(60), 5)))
    held_out.write(tmp_path)
    read = HeldOut.parse((tmp_path / HELD_OUT_FILE).read_bytes(), LABELS)
    assert (read.sentences, read.groups) == (300, 60)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        ours, theirs = held_out.limits(coverage), read.limits(coverage)
        assert np.allclose(ours.limits, theirs.limits, atol=2e-6)
        assert (theirs.limits >= ours.limits).all(), "rounding must not narrow a set"
        assert ours.by_class == theirs.by_class


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"schema_version": 2, "labels": {}}',
        b'{"schema_version": 1, "labels": {"a": {"nonconformity": [1.0], "group": []}}}',
        b'{"schema_version": 1, "labels": {"z": {"nonconformity": [], "group": []}}}',
    ],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=HELD_OUT_FILE):
        HeldOut.parse(content, ["a"])
