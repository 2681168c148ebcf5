"""On which labelled sentences is it fitted what scores mean, and on which is that reported? None it was trained on.

That is the checkpoint's own validation split, which the best epoch was chosen on as well, and its test split. Of data
that it knows nothing of, half of the groups are fitted on and the others reported on.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from export import ExportError
from repository.names import visible
from training.data.columns import Wanted
from training.data.examples import DataError, Example, Target, fold_white_space
from training.data.file_text import normal
from training.data.near_copies import joined_groups
from training.data.reading import columns_of, read_examples
from training.data.split_record import SplitRecord
from training.data.tables import Table

MOST_TEXTS = 8000
"""Of either list: a minute on one core of a laptop. What more of them would tell is less than what groups do."""


@dataclass(frozen=True)
class LabelledTexts:
    """Sentences with what is true of each, in the model's names of its labels."""

    sentences: list[str]
    truth: list[Target]
    groups: list[str]
    """The group of each; a sentence that belongs to none has one of its own."""
    origin: str
    """Which sentences, in words."""


@dataclass(frozen=True)
class HeldOutTexts:
    """Sentences that a model was not trained on; no group is in both."""

    fitted_on: LabelledTexts | None
    """None where nothing is left."""
    test: LabelledTexts | None
    """What is reported on; None where nothing is left for it."""


def labelled_examples(tables: Sequence[Table], record: SplitRecord | None, wanted: Wanted) -> list[Example]:
    """The examples of several tables of the same columns.

    Args:
        tables: read.
        record: what the model keeps of its split: its columns are read where none is named and a table has them.
        wanted: columns that were named, and what a label is.

    Raises:
        ExportError: a table has no such columns, or no row that can be used.
    """
    found: list[Example] = []
    named = wanted.text or wanted.label or wanted.group or wanted.separator
    try:
        for table in tables:
            known = record is not None and not named and set(record.columns.needed) <= set(table.columns)
            columns = record.columns if known and record is not None else columns_of(table, wanted)
            found += read_examples(table, columns, wanted.task).examples
    except DataError as error:
        raise ExportError(str(error)) from None
    return found


def held_out_texts(
    examples: Sequence[Example],
    name: str,
    labels: Sequence[str],
    record: SplitRecord | None,
    tests: Sequence[Example] | None = None,
    tests_name: str = "",
) -> HeldOutTexts:
    """Deal examples to their uses.

    Args:
        examples: of the files that are fitted on.
        name: what to call these files.
        labels: the model's.
        record: what the model keeps of its split; None: nothing.
        tests: examples of files that are reported on alone; None: there are none, so `examples` do both.
        tests_name: what to call those.

    Raises:
        ExportError: a label is none of the model's.
    """
    by_split: dict[str | None, list[Example]] = {}
    for example in examples:
        by_split.setdefault(None if record is None else record.split_of(example), []).append(example)
    validation, own_test = by_split.get("validation", []), by_split.get("test", [])
    unknown = by_split.get(None, [])
    seen = f" (rows of {record.columns.unit} that were trained on)" if record and record.kind == "rows" else ""
    fitted_on, origin = (validation, f"validation split of {name}{seen}") if validation else (unknown, name)
    test, test_origin = own_test, f"test split of {name}{seen}"
    if tests is not None:
        known = ("train", "validation")
        test = [one for one in tests if record is None or record.split_of(one) not in known]
        groups = {example.group for example in test}
        fitted_on, test_origin = [one for one in fitted_on if one.group not in groups], tests_name
    elif not validation:
        pool, pool_name = (unknown, name) if unknown else (own_test, test_origin)
        fitted_on, halved = _halves(pool)
        test, test_origin = (own_test, test_origin) if own_test and unknown else (halved, f"half of {pool_name}")
        origin = f"half of {pool_name}"
    return HeldOutTexts(_labelled(labels, fitted_on, origin), _labelled(labels, test, test_origin))


def _halves(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """By groups, copies together, in an order that is no file's."""
    names = sorted(joined_groups(list(examples)), key=lambda each: hashlib.sha256(each[0].encode()).hexdigest())
    first = {name for each in names[: (len(names) + 1) // 2] for name in each}
    return [one for one in examples if one.group in first], [one for one in examples if one.group not in first]


def _labelled(labels: Sequence[str], examples: Sequence[Example], origin: str) -> LabelledTexts | None:
    """Each text of a group once: the same one again says nothing new. Raises ExportError: an unknown label."""
    once = list({(example.group, example.text): example for example in examples}.values())
    if len(once) > MOST_TEXTS:
        once = [once[place] for place in sorted(random.Random(0).sample(range(len(once)), MOST_TEXTS))]
    if not once:
        return None
    # A file's labels are in one normal form; a checkpoint from elsewhere may have another.
    own = {fold_white_space(normal(label)): label for label in labels}
    truth = [_in_names_of(own, example) for example in once]
    return LabelledTexts([one.text for one in once], truth, [one.group for one in once], origin)


def _in_names_of(own: dict[str, str], example: Example) -> Target:
    for label in example.labels:
        if label not in own:
            raise ExportError(
                f"row {example.row}: the label {visible(label)!r} is none of the model's ({', '.join(own)}), so that "
                "no answer could be right: leave such rows out"
            )
    target = example.target
    return target if isinstance(target, float) else own[target] if isinstance(target, str) else _named(own, target)


def _named(own: dict[str, str], target: tuple[str, ...]) -> Target:
    return tuple(own[label] for label in target)
