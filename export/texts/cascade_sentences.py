"""On which sentences is a student's bar chosen, and on which is it reported? None that either model was trained on."""

import hashlib
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from export.texts.data_file import DataFile, read_examples_of
from training.data.examples import Example
from training.data.split_record import SplitRecord, combined_split

# Of them, 0.5 % can be shown to a tenth of a percent; three layers answer as many within minutes.
MOST_SENTENCES = 20_000


@dataclass(frozen=True)
class CascadeSentences:
    """Sentences, each once and none in both lists."""

    choosing: list[str]
    origin: str
    """What `choosing` is, in words."""
    reporting: list[str]
    truth: dict[str, str] = field(default_factory=dict)
    """True labels of the sentences in `reporting` that have one."""


def cascade_sentences(
    read: Mapping[str, DataFile], records: Sequence[SplitRecord | None], kept: Iterable[str]
) -> CascadeSentences:
    """Deal the sentences of `--data`, `--validation`, `--calibration` and `--cascade-texts`.

    Args:
        read: the files, by the options that named them. `--data`'s validation split chooses and its test split reports;
            of a file that was not split when the models were trained, half of the groups choose and the others report.
            The validation split of each other file chooses too, and what no model knows of `--validation` and
            `--cascade-texts`: in `--calibration` that may be what an older model was trained on.
        records: what model and student keep of their splits.
        kept: sentences that set int8's scales, which do neither.

    Raises:
        ExportError: a table has no columns that are known.
    """
    seen = set(kept)
    validation, test, origin = _dealt(read["--data"], records)
    reported = {example.text: example for example in test if example.text not in seen}
    choosing, origins = list(validation), [origin] if validation else []
    for option in ("--validation", "--calibration", "--cascade-texts"):
        if option in read:
            by_split = _by_split(read[option], records)
            more = by_split.get("validation", []) + ([] if option == "--calibration" else by_split.get(None, []))
            choosing += more
            origins += [read[option].path.name] if more else []
    once = dict.fromkeys(example.text for example in choosing if example.text not in seen)
    truth = {text: example.target for text, example in reported.items() if isinstance(example.target, str)}
    return CascadeSentences(
        _sample([text for text in once if text not in reported]),
        " and ".join(origins),
        list(reported),
        {text: label for text, label in truth.items() if label},
    )


def _dealt(data: DataFile, records: Sequence[SplitRecord | None]) -> tuple[list[Example], list[Example], str]:
    """Examples that choose, examples that report, and what the first are."""
    by_split = _by_split(data, records)
    validation, test = by_split.get("validation", []), by_split.get("test", [])
    if validation or test:
        return validation, test, f"validation split of {data.path.name}"
    unknown = by_split.get(None, [])
    first = [example for example in unknown if not _is_even(example.group)]
    second = [example for example in unknown if _is_even(example.group)]
    return first, second, f"half of {data.path.name}"


def _by_split(data: DataFile, records: Sequence[SplitRecord | None]) -> dict[str | None, list[Example]]:
    found = read_examples_of(data, records)
    by_split: dict[str | None, list[Example]] = {}
    for example in found.examples:
        by_split.setdefault(combined_split(example, records), []).append(example)
    return by_split


def _is_even(name: str) -> bool:
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def _sample(texts: list[str]) -> list[str]:
    return texts if len(texts) <= MOST_SENTENCES else random.Random(0).sample(texts, MOST_SENTENCES)
