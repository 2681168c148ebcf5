"""Columns of pandas, Polars and pyarrow, in and out."""

import asyncio
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.faulty_server import Reply, Request, faulty_server
from tests.unit.client.both import both, classify
from text_classifier_client import AsyncClient, Client, TextError


def refuses_bad(request: Request) -> Reply:
    """Refuses `bad`, as the gateway refuses a text without a token."""
    if "bad" in request.texts:
        name = f"Sentence {request.texts.index('bad') + 1}" if len(request.texts) > 1 else "The sentence"
        return Reply(422, body=f'{{"error": "{name} has no token."}}'.encode())
    return Reply()


def classified(kind: str, column: Any, **call: Any) -> Any:
    with faulty_server(refuses_bad) as server:
        if kind == "sync":
            with Client(server.url) as client:
                return client.classify_column(column, **call)

        async def ask() -> Any:
            async with AsyncClient(server.url) as client:
                return await client.classify_column(column, **call)

        return asyncio.run(ask())


@both
def test_pandas_keeps_its_index_and_its_nulls(kind: str) -> None:
    series = pd.Series(["a", None, "b", float("nan"), pd.NA], index=["x", "y", "x", "z", "z"], name="idea")
    table = classified(kind, series)
    assert list(table.columns) == ["label", "score", "version"]
    assert table.index.equals(series.index)
    assert table["label"].isna().tolist() == [False, True, False, True, True]
    assert table["label"].dropna().tolist() == ["a", "b"]
    assert table["score"].dropna().tolist() == [0.5, 0.5]
    assert (str(table["version"].dtype), table["version"].dropna().tolist()) == ("Int64", [3, 3])
    both_together = series.to_frame().assign(**{name: table[name] for name in table})
    assert both_together.loc["y", "label"] is pd.NA


@both
@pytest.mark.parametrize("dtype", ["category", "string", "object"])
def test_pandas_kinds_of_text(kind: str, dtype: Any) -> None:
    assert classified(kind, pd.Series(["a", "b", "a"], dtype=dtype))["label"].tolist() == ["a", "b", "a"]


@both
def test_polars(kind: str) -> None:
    table = classified(kind, pl.Series("idea", ["a", None, "b"]), labels=True)
    expected = pl.DataFrame(
        {
            "label": ["a", None, "b"],
            "score": [0.5, None, 0.5],
            "version": [3, None, 3],
            "labels": [["a"], None, ["b"]],
            "scores": [[0.5], None, [0.5]],
        }
    )
    assert table.equals(expected)
    assert table.schema == expected.schema
    assert classified(kind, pl.Series("idea", ["a", "a"], dtype=pl.Categorical))["label"].to_list() == ["a", "a"]


@both
@pytest.mark.parametrize("chunked", [False, True])
def test_arrow(kind: str, chunked: bool) -> None:
    column = pa.chunked_array([["a", None], ["b"]]) if chunked else pa.array(["a", None, "b"])
    table = classified(kind, column)
    assert table.to_pydict() == {"label": ["a", None, "b"], "score": [0.5, None, 0.5], "version": [3, None, 3]}
    assert table.schema.types == [pa.string(), pa.float64(), pa.int64()]


COLUMNS = [lambda texts: pd.Series(texts, dtype="object"), lambda texts: pl.Series("x", texts, pl.String), pa.array]


@pytest.mark.parametrize("make", COLUMNS)
@both
def test_a_bad_text_is_named_by_its_row_or_told_in_its_row(kind: str, make: Any) -> None:
    column = make(["a", None, None, "bad", "b", " "])
    with pytest.raises(TextError) as caught:
        classified(kind, column)
    assert caught.value.index == 5, "a blank one is known before anything is asked"
    with pytest.raises(TextError) as caught:
        classified(kind, make(["a", None, None, "bad", "b"]))
    assert caught.value.index == 3
    table = classified(kind, column, on_error="return")
    errors = table["error"]
    found = errors.to_pylist() if hasattr(errors, "to_pylist") else list(errors)
    assert found[3] == "The sentence has no token."
    assert "blank" in str(found[5])


@pytest.mark.parametrize("texts", [[], [None, None]])
@pytest.mark.parametrize("make", COLUMNS)
@both
def test_a_column_without_texts_has_the_same_columns(kind: str, make: Any, texts: list[None]) -> None:
    table = classified(kind, make(texts))
    assert len(table) == len(texts)
    assert list(getattr(table, "column_names", None) or table.columns) == ["label", "score", "version"]


@pytest.mark.parametrize(
    "odd", [["a"], "a", pd.DataFrame({"a": ["b"]}), pl.DataFrame({"a": ["b"]}), pa.table({"a": ["b"]})]
)
@both
def test_what_is_no_column_is_refused_with_what_would_be_right(kind: str, odd: Any) -> None:
    with pytest.raises(TypeError, match="pandas or Polars Series"):
        classified(kind, odd)


@pytest.mark.parametrize("make", COLUMNS)
@both
def test_a_column_given_for_texts_is_told_the_way(kind: str, make: Any) -> None:
    with pytest.raises(TypeError, match="classify_column"):
        classify(kind, "http://127.0.0.1:1", make(["a"]))


def test_numbers_are_no_texts() -> None:
    with pytest.raises(TypeError, match="int, not str"):
        classified("sync", pd.Series([1, 2]))
