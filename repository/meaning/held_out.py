"""Which set of labels holds the right one in, say, 95 % of cases? Split conformal prediction, from held-out scores.

For each text that was held out, the version keeps how ill its true label fitted in the model's eyes, the label's
*nonconformity*: `-log` of its softmax. To an asked coverage belongs a limit; the answer to a new text is every label
whose nonconformity is within it. Of `n` texts that have nothing to do with each other the limit is the
`ceil((n + 1) coverage)`-th smallest nonconformity, and the set then holds the right label with at least the asked
probability, whatever the model is worth (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World",
2005; the sets are the smallest ones on average: M. Sadinle, J. Lei, L. Wasserman, "Least Ambiguous Set-Valued
Classifiers with Bounded Error Levels", 2019).

Texts of one group, such as the ideas of one mind map, are right or wrong together. What is exchangeable is the group,
so each of `K` groups weighs `1 / (K + 1)`, in equal parts for its texts, and the rest, `1 / (K + 1)`, stands for the
new text's group. The limit is where these weights reach the coverage (Y. Lee, R. Barber, R. Willett, "Distribution-Free
Inference with Hierarchical Data", 2023). With one text a group this is the rule above. The promise is about
a text of a new group.

By class (Mondrian): a label that enough groups have gets a limit from its own texts alone, so that the promise holds
for that label by itself. The others share one.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from repository.meaning.arithmetic import Float64Array, log_softmax
from repository.meaning.calibration import Strict
from repository.meaning.coverage import HELD_OUT_FILE, MOST_TEXTS

OWN_LIMIT = 2
"""A label has a limit of its own with so many times the groups that it takes at least: else that is about the largest
nonconformity there is, and the label is in nearly every set."""

_DIGITS = 6
_ROUNDING = 1e-9


class UnreachableError(ValueError):
    """No limit is known to keep that coverage.

    Attributes:
        most: the largest coverage that can be kept, as a share.
        groups: how many groups there are.
        needed: how many it would take.
    """

    def __init__(self, groups: int, needed: int) -> None:
        super().__init__(f"{needed} groups are needed, there are {groups}")
        self.groups, self.needed, self.most = groups, needed, groups / (groups + 1)


class _OfLabel(Strict):
    nonconformity: list[float] = Field(max_length=MOST_TEXTS)
    group: list[int] = Field(max_length=MOST_TEXTS, description="Which group each is of, by a number of this file.")

    @model_validator(mode="after")
    def _check(self) -> "_OfLabel":
        if len(self.nonconformity) != len(self.group):
            raise ValueError("nonconformity and group must be as many")
        return self


class _File(Strict):
    schema_version: Literal[1] = 1
    labels: dict[str, _OfLabel]


@dataclass(frozen=True)
class Limits:
    """How large each label's nonconformity may be for a coverage."""

    limits: Float64Array
    """`[labels]`"""
    by_class: tuple[int, ...]
    """Places of the labels that have a limit of their own."""


class HeldOut:
    """The nonconformity of the true labels of held-out texts."""

    def __init__(self, labels: Sequence[str], nonconformity: npt.ArrayLike, label: npt.ArrayLike, group: npt.ArrayLike):
        """Take what is known of each text.

        Args:
            labels: of the model, in order.
            nonconformity: of each text's true label, `[texts]`.
            label: the place of each text's true label, `[texts]`.
            group: any number that tells the text's group, `[texts]`.
        """
        self.labels = list(labels)
        self._nonconformity = np.asarray(nonconformity, dtype=np.float64)
        self._label = np.asarray(label, dtype=np.int64)
        self._group = np.asarray(group, dtype=np.int64)
        order = np.argsort(self._nonconformity, kind="stable")
        self._texts = [order[self._label[order] == place] for place in range(len(self.labels))]
        self._groups = [set(self._group[texts].tolist()) for texts in self._texts]
        self.limits = lru_cache(maxsize=16)(self._limits)
        """The limits for a coverage; the last few are kept. Raises UnreachableError."""

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(np.unique(self._group))

    @property
    def sentences(self) -> int:
        """How many texts."""
        return len(self._group)

    @property
    def most(self) -> float:
        """The largest coverage that can be kept."""
        return self.groups / (self.groups + 1)

    def write(self, folder: Path) -> None:
        """Write `folder/held_out.json`, each label's texts from the best fitting on."""
        numbers = {group: place for place, group in enumerate(np.unique(self._group).tolist())}
        content: dict[str, dict[str, list[Any]]] = {}
        for place, name in enumerate(self.labels):
            own = self._texts[place].tolist()
            content[name] = {
                # Rounded up: a limit that is a little too high keeps the promise.
                "nonconformity": [math.ceil(self._nonconformity[text] * 10**_DIGITS) / 10**_DIGITS for text in own],
                "group": [numbers[int(self._group[text])] for text in own],
            }
        text = json.dumps({"schema_version": 1, "labels": content}, ensure_ascii=False)
        (folder / HELD_OUT_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def parse(cls, content: bytes, labels: Sequence[str]) -> "HeldOut":
        """Read what `write` wrote.

        Raises:
            ValueError: it is something else, or of other labels.
        """
        try:
            found = TypeAdapter(_File).validate_json(content).labels
        except ValidationError as error:
            raise ValueError(f"{HELD_OUT_FILE} is none: {error.errors()[0]['msg']}") from None
        if set(found) != set(labels):
            raise ValueError(f"{HELD_OUT_FILE} is of other labels")
        return cls(labels, *_columns(found, labels))

    def _limits(self, coverage: float) -> Limits:
        own, shared = self._dealt(coverage)
        limits = np.empty(len(self.labels))
        for place in own:
            limits[place] = self._limit(coverage, [place])
        if shared:
            limits[shared] = self._limit(coverage, shared)
        # With no other label to share with, a single label's limit holds for that label alone, too.
        return Limits(limits, tuple(sorted(own if len(shared) != 1 else [*own, *shared])))

    def _dealt(self, coverage: float) -> tuple[list[int], list[int]]:
        """Labels with a limit of their own, and those that share one. Raises UnreachableError."""
        needed = groups_needed(coverage)
        if self.groups < needed:
            raise UnreachableError(self.groups, needed)
        places = sorted(range(len(self.labels)), key=lambda place: -len(self._groups[place]))
        own = [place for place in places if len(self._groups[place]) >= OWN_LIMIT * needed]
        shared = places[len(own) :]
        # What is left over has to carry a limit, too: the smallest of the others join until it does.
        groups = set[int]().union(*(self._groups[place] for place in shared))
        while shared and own and len(groups) < needed:
            shared.append(own.pop())
            groups |= self._groups[shared[-1]]
        return own, shared

    def _limit(self, coverage: float, labels: Sequence[int]) -> float:
        """The smallest nonconformity at which the weights of these labels' texts reach the coverage."""
        texts = np.concatenate([self._texts[place] for place in labels])
        texts = texts[np.argsort(self._nonconformity[texts], kind="stable")]
        _, group, sizes = np.unique(self._group[texts], return_inverse=True, return_counts=True)
        weights = 1 / (sizes[group] * (len(sizes) + 1))
        reached = np.flatnonzero(np.cumsum(weights) >= coverage - _ROUNDING)
        return float(self._nonconformity[texts[reached[0]]])


def _columns(found: Mapping[str, _OfLabel], labels: Sequence[str]) -> tuple[list[float], list[int], list[int]]:
    """Strangeness, label and group of each text."""
    return (
        [one for name in labels for one in found[name].nonconformity],
        [place for place, name in enumerate(labels) for _ in found[name].group],
        [one for name in labels for one in found[name].group],
    )


def groups_needed(coverage: float) -> int:
    """How many groups it takes for a coverage: K / (K + 1) must reach it."""
    return max(1, math.ceil(coverage / (1 - coverage) - _ROUNDING))


def nonconformity_of(logits: npt.NDArray[np.floating[Any]]) -> Float64Array:
    """The nonconformity of each label, `[..., labels]`: `-log` of the softmax of the logits as they are, in float64.

    Calibration has no part in it: a limit that is fitted on the same texts as the nonconformity itself would promise
    less than it says.
    """
    return -log_softmax(np.asarray(logits, dtype=np.float64))


def label_set(nonconformity: Float64Array, limits: Limits) -> npt.NDArray[np.int64]:
    """Places of the labels that a set holds, the best fitting first.

    A set is never empty: where the limits leave no label, the best one is answered, which can only raise the coverage.

    Args:
        nonconformity: of one text, `[labels]`.
        limits: for the coverage.
    """
    order = np.argsort(nonconformity, kind="stable")
    kept = order[nonconformity[order] <= limits.limits[order]]
    return kept if len(kept) else order[:1]
