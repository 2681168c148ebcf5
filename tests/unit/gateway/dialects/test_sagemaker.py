"""Tables and lines of texts are read as they are, or refused."""

import pytest

from gateway.dialects.sagemaker import inputs_of_csv, inputs_of_lines
from gateway.errors import InvalidRequestError, TooManySentencesError


def test_a_table_s_column_is_found_among_others() -> None:
    table = 'id,inputs\r\n1,cat\r\n2,"oak, ""tall""\nand old"\r\n3,\r\n'
    assert inputs_of_csv(table, 3) == ["cat", 'oak, "tall"\nand old', ""]


@pytest.mark.parametrize("table", ["", "\n", "text\ncat\n", "inputs\n", 'inputs\n"cat', 'inputs\n"cat"x\n'])
def test_a_table_that_cannot_be_read_is_refused(table: str) -> None:
    with pytest.raises(InvalidRequestError):
        inputs_of_csv(table, 9)


def test_lines_are_texts_pairs_or_objects_with_inputs() -> None:
    lines = '{"inputs": "cat\u2028oak"}\r\n\n"stone"\n{"text": "cat", "text_pair": "oak"}\n'
    assert inputs_of_lines(lines, 3) == ["cat\u2028oak", "stone", {"text": "cat", "text_pair": "oak"}]


@pytest.mark.parametrize(
    "lines", ["", "\n\n", "{", "7", "null", '["cat"]', '{"inputs": "cat", "parameters": {}}', "[" * 100_000]
)
def test_lines_of_something_else_are_refused(lines: str) -> None:
    with pytest.raises(InvalidRequestError):
        inputs_of_lines(lines, 9)


def test_the_number_of_texts_is_bounded() -> None:
    for read, text in ((inputs_of_csv, "inputs\n" + "cat\n" * 4), (inputs_of_lines, '"cat"\n' * 4)):
        assert len(read(text, 4)) == 4
        with pytest.raises(TooManySentencesError):
            read(text, 3)
