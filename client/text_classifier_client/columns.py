"""How is a column of a table classified? Taken apart into its texts, and put together again as a table.

Whichever library the column is of is there already: none is imported otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from text_classifier_client.answers import Answer
from text_classifier_client.errors import TextError

Outcome = Answer | TextError


class Column:
    """A column's texts and their places.

    Attributes:
        texts: those that are not null, in order.
    """

    def __init__(self, values: Sequence[Any], is_null: Sequence[bool], build: Callable[[dict[str, Any]], Any]) -> None:
        """
        Args:
            values: of the column.
            is_null: which of them are.
            build: makes a table of lists as long as the column, by name.
        """
        self._places = [place for place, null in enumerate(is_null) if not null]
        self._length = len(values)
        self._build = build
        self.texts = [values[place] for place in self._places]

    @contextmanager
    def places_told(self) -> Iterator[None]:
        """Let a TextError name the place in the column, which has nulls, and not that among the texts."""
        try:
            yield
        except TextError as error:
            raise TextError(error.says, self._places[error.index], error.status, error.request_id) from None

    def table(self, outcomes: Sequence[Outcome], *, labels: bool, errors: bool) -> Any:
        """The answers as a table.

        Args:
            outcomes: of the texts, in order.
            labels: whether all labels of each answer are wanted.
            errors: whether a column says what is wrong with a text.
        """
        found: dict[str, list[Any]] = {name: [None] * self._length for name in ("label", "score", "version")}
        found |= {name: [None] * self._length for name in ("labels", "scores") if labels}
        found |= {"error": [None] * self._length} if errors else {}
        for place, outcome in zip(self._places, outcomes, strict=True):
            if isinstance(outcome, TextError):
                found["error"][place] = outcome.says
                continue
            found["label"][place], found["score"][place] = outcome.label, outcome.score
            found["version"][place] = outcome.version
            if labels:
                found["labels"][place] = [each.label for each in outcome.labels]
                found["scores"][place] = [each.score for each in outcome.labels]
        return self._build(found)


def column_of(column: Any) -> Column:
    """The column, of whichever library it is.

    Raises:
        TypeError: it is none that is known.
    """
    library = type(column).__module__.partition(".")[0]
    kind = type(column).__name__
    if (library, kind) == ("pandas", "Series"):
        return _pandas(column)
    if (library, kind) == ("polars", "Series"):
        return _polars(column)
    if library == "pyarrow" and kind.endswith("Array"):
        return _arrow(column)
    known = "a pandas or Polars Series, or a pyarrow Array or ChunkedArray"
    if kind in ("DataFrame", "LazyFrame", "Table"):
        raise TypeError(f"a {kind} has several columns: give the one that holds the texts, as {known}")
    raise TypeError(f"a column is {known}, not {kind}; a list of texts is classified by classify(list)")


def _pandas(series: Any) -> Column:
    import pandas as pd

    # Each column by itself: pandas makes of a list of whole numbers and None numbers with a point.
    kinds = {"label": "string", "score": "float64", "version": "Int64", "error": "string"}

    def build(columns: dict[str, Any]) -> Any:
        made = {
            name: pd.Series(values, index=series.index, dtype=kinds.get(name, "object"), name=name)
            for name, values in columns.items()
        }
        return pd.DataFrame(made, index=series.index)

    return Column(series.tolist(), series.isna().tolist(), build)


def _polars(series: Any) -> Column:
    import polars as pl

    text, number = pl.String, pl.Float64
    kinds = {
        "label": text,
        "score": number,
        "version": pl.Int64,
        "error": text,
        "labels": pl.List(text),
        "scores": pl.List(number),
    }

    def build(columns: dict[str, Any]) -> Any:
        return pl.DataFrame(columns, schema={name: kinds[name] for name in columns})

    return Column(series.to_list(), series.is_null().to_list(), build)


def _arrow(array: Any) -> Column:
    import pyarrow as pa  # type: ignore[import-untyped]

    text, number = pa.string(), pa.float64()
    kinds = {
        "label": text,
        "score": number,
        "version": pa.int64(),
        "error": text,
        "labels": pa.list_(text),
        "scores": pa.list_(number),
    }

    def build(columns: dict[str, Any]) -> Any:
        return pa.table({name: pa.array(values, kinds[name]) for name, values in columns.items()})

    return Column(array.to_pylist(), array.is_null().to_pylist(), build)
