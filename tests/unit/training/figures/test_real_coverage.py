"""Label sets on real texts: the shipped maps and SIB-200, by a linear model that is fitted in seconds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from repository.inference import Float32Array
from repository.manifest import ProblemType
from repository.meaning.held_out import HeldOut, label_set, nonconformity_of
from tests.places import ROOT
from training.data.columns import Wanted
from training.data.examples import Example
from training.data.load import TrainingData, load_data
from training.figures.baseline import FEATURES, text_features
from training.figures.coverage import LEVELS, observed_coverage
from training.figures.linear import LinearModel

MAPS = ROOT / "data" / "public_maps.csv"
SIB200 = ROOT.parent / "shared" / "data" / "sib200"
RESPLITS = 50


def maps() -> TrainingData:
    return load_data(MAPS)


def sib200() -> TrainingData:
    if not SIB200.is_dir():
        pytest.skip(f"{SIB200} is missing")
    files: dict[str, list[Path | str]] = {
        split: [*sorted(SIB200.glob(f"*.{split}.tsv"))] for split in ("train", "dev", "test")
    }
    wanted = Wanted(text=("text",), label="category", group="index_id")
    return load_data(files["train"], "groups", wanted, validation=files["dev"], test=files["test"])


def held_out_logits(data: TrainingData) -> tuple[list[Example], Float32Array]:
    """The examples of both held-out splits, and what a linear model on words says of them, `[texts, labels]`."""
    features = text_features(FEATURES["words 1-2"])
    train = data.splits["train"]
    model = LinearModel(ProblemType.SINGLE_LABEL, "words", 10.0)
    seen = features.fit_transform([one.text for one in train])
    fitted = model.fit(seen, [one.target for one in train], data.labels)
    assert fitted.classes_.tolist() == data.labels
    examples = [*data.splits["validation"], *data.splits["test"]]
    return examples, fitted.predict_log_proba(features.transform([one.text for one in examples])).astype(np.float32)


@pytest.mark.parametrize("read", [maps, sib200])
def test_sets_hold_the_right_label_as_often_as_is_promised(read: Callable[[], TrainingData]) -> None:
    data = read()
    examples, logits = held_out_logits(data)
    label = np.array([data.labels.index(str(one.target)) for one in examples])
    names, group = np.unique([one.group for one in examples], return_inverse=True)
    nonconformity = nonconformity_of(logits)
    own = nonconformity[np.arange(len(label)), label]
    sizes = np.bincount(group)
    random = np.random.default_rng(0)
    covered = dict.fromkeys(LEVELS, 0.0)
    for draw in range(RESPLITS):
        fitted = np.isin(group, random.permutation(len(names))[: len(names) // 2])
        held_out = HeldOut(data.labels, own[fitted], label[fitted], group[fitted])
        for level in LEVELS:
            limits = held_out.limits(level)
            held = np.array([label[text] in label_set(nonconformity[text], limits) for text in np.flatnonzero(~fitted)])
            weights = 1 / sizes[group[~fitted]]
            covered[level] += float((held * weights).sum() / weights.sum()) / RESPLITS
        if draw == 0:
            tests = observed_coverage(held_out, logits[~fitted], label[~fitted], [str(one) for one in group[~fitted]])
            for one in tests:
                assert one.observed.high is not None
                assert one.observed.high >= one.coverage
    # Dealt anew fifty times, new groups are what they are promised to be: like the others. A label with a limit of
    # its own from eight groups, the fewest at 0.8, may be held more often by 1 / 9.
    for level, found in covered.items():
        assert level - 0.01 <= found <= level + 0.06, f"{level} was asked, {found:.3f} observed"
