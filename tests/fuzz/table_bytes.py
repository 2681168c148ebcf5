"""What the two readers of tables are held against: Python's own `csv`, in strict mode."""

import csv
import io
from collections.abc import Iterable, Sequence

from repository.delimited_text import DELIMITERS

CSV_WORDS = (
    b"text,label\n",
    b"text;label\r\n",
    b"text\tlabel\n",
    b"sep=;\n",
    b'"sep=|"\n',
    b'"',
    b'""',
    b'\\"',
    b'","',
    b'"\r\n"',
    b"\r",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00",
    b"\x1f\x8b\x08",
    b"\xe2\x80\xa8",
    b"\xc3",
    b" ",
)
JSON_WORDS = (b'{"text": "a", "label": "b"}\n', b'"text": ', b"[{", b"}, {", b"NaN", b"1e999", b'"\\ud800"', b"null")


def strict_rows(text: str, delimiter: str, blanks_lead: bool) -> list[list[str]] | None:
    """The rows as Python's `csv` reads them, those without a field left out; None where it refuses the text."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=blanks_lead)
    try:
        return [row for row in reader if row]
    except csv.Error:
        return None


def readings(text: str) -> Iterable[list[list[str]]]:
    """Each way to read the text by one of the delimiters, blanks at the start of a field kept or not."""
    for delimiter in DELIMITERS:
        for blanks_lead in (False, True):
            if (rows := strict_rows(text, delimiter, blanks_lead)) is not None:
                yield rows


def written(rows: Sequence[Sequence[str]], delimiter: str, line_end: str) -> str:
    """The rows as text, every field in quotation marks."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def plain_text(data: bytes) -> str:
    """Text that a table may hold, out of any bytes."""
    return data.decode("utf-8", "ignore").replace("\x00", "").replace("\ufeff", "")
