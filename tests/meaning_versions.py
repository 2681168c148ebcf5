"""Small real versions that say what their scores mean: a calibration, thresholds, held-out scores, put in by hand."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from repository.manifest import Manifest, ProblemType, digest_file
from repository.meaning.calibration import Calibration
from repository.meaning.coverage import HELD_OUT_FILE, Coverage
from repository.meaning.held_out import HeldOut
from repository.meaning.thresholds import LabelThreshold, Thresholds
from tests.version_folders import write_version

FITTED_ON = {"sentences": 90, "groups": 30, "origin": "validation split of test.csv"}


def write_calibrated(folder: Path, words: dict[str, str], temperature: float, limits: Sequence[float] = ()) -> Path:
    """A version as `write_version` writes it, with a temperature.

    Args:
        folder: to write.
        words: word to label.
        temperature: its calibration.
        limits: for each label the nonconformity of all its held-out texts, each a group: a set holds the label where
            its own is at most that. None are held out if there are none.
    """
    write_version(folder, words)
    manifest = Manifest.read(folder)
    update: dict[str, object] = {"calibration": Calibration(temperature=temperature, **FITTED_ON)}
    if limits:
        label = np.repeat(np.arange(len(limits)), 10)
        held_out = HeldOut(manifest.labels, np.repeat(limits, 10), label, np.arange(len(label)))
        held_out.write(folder)
        size = {**FITTED_ON, "sentences": held_out.sentences, "groups": held_out.groups}
        update["coverage"] = Coverage(**size, most=held_out.most)
        update["files"] = {**manifest.files, HELD_OUT_FILE: digest_file(folder / HELD_OUT_FILE)}
    manifest.model_copy(update=update).write(folder)
    return folder


def write_with_thresholds(
    folder: Path, words: dict[str, str], thresholds: Sequence[float], slope: float = 1.0, offset: float = 0.0
) -> Path:
    """A version that answers several labels, with a threshold for each and one sigmoid for all."""
    write_version(folder, words, weight=1.0, problem_type=ProblemType.MULTI_LABEL)
    own = [LabelThreshold(threshold=one, positives=20, precision=0.9, recall=0.8, tuned=True) for one in thresholds]
    count = len(own)
    update = {
        "calibration": Calibration(slopes=[slope] * count, offsets=[offset] * count, **FITTED_ON),
        "thresholds": Thresholds(labels=own, chosen_by="f1", origin=FITTED_ON["origin"]),
    }
    Manifest.read(folder).model_copy(update=update).write(folder)
    return folder
