"""What a data file holds as text: UTF-8 or UTF-16, with or without byte order marks, packed by gzip or not."""

import codecs
import gzip
import re
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

from training.data.examples import DataError

KINDS = "CSV, TSV, JSON Lines (.jsonl, .json) or Parquet"
GZIP_SUFFIX = ".gz"

_GZIP_MAGIC = b"\x1f\x8b"
_PARQUET_MAGIC = b"PAR1"
_MARK = "\ufeff"
# The longer marks first: UTF-32's begins as UTF-16's does.
_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that no text has: all but NUL, white space and the separators of fields.
_BINARY = re.compile(rb"[\x01-\x08\x0e-\x1a]")
_LINE_END = re.compile(r"\r\n|\r|\n")


def read_content(path: Path) -> bytes:
    """Return the bytes of a file, unpacked if it was packed by gzip.

    Raises:
        DataError: there is no such file, or it can't be read or unpacked.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; a file is needed: {KINDS}.") from None
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}.") from None
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} can't be unpacked by gzip: {error}.") from None


def is_parquet(content: bytes) -> bool:
    """Whether the bytes begin as a Parquet file does."""
    return content.startswith(_PARQUET_MAGIC)


def decode(path: Path, content: bytes, locate: Callable[[str], tuple[str, str]], advice: str = "") -> str:
    """Return the text of a file, without byte order marks at its start.

    Args:
        path: named in errors.
        content: its bytes.
        locate: given the text before a byte that is no UTF-8, returns where that is: "row 3", and more if known.
        advice: how to save such a file in UTF-8.

    Raises:
        DataError: it is binary or in another encoding.
    """
    wide = next((encoding for mark, encoding in _WIDE if content.startswith(mark)), None)
    if wide is None and b"\x00" in content:
        _refuse_binary(path, content)
    try:
        text = content.decode(wide or "utf-8")
    except UnicodeDecodeError as error:
        if wide is not None:
            raise DataError(f"{path} is not whole: it ends within a character of {wide.upper()}, or is none.") from None
        where, more = locate(content[: error.start].decode("utf-8", errors="replace").lstrip(_MARK))
        byte = f"byte 0x{content[error.start]:02x}"
        raise DataError(f"{path}: {where} is not in UTF-8 ({byte}){more}; save the file in UTF-8{advice}.") from None
    text = text.lstrip(_MARK)
    if "\x00" in text:
        where, more = locate(text[: text.index("\x00")])
        raise DataError(f"{path}: {where} holds a NUL character{more}; take it out.")
    return text


def _refuse_binary(path: Path, content: bytes) -> None:
    """Raise DataError for a workbook, an archive, an image; not for text in which a NUL went astray."""
    # In UTF-16 without a mark, every other byte of plain Latin text is 0.
    start = content[:1000]
    if min(start[0::2].count(0), start[1::2].count(0)) == 0 and 3 * start.count(0) > len(start):
        raise DataError(f"{path} seems to be in UTF-16 without a byte order mark; save it in UTF-8.")
    if _BINARY.search(content) or 10 * start.count(0) > len(start):
        raise DataError(
            f"{path} is not a CSV file but a binary one; save the table as CSV in UTF-8, or give another of {KINDS}."
        )


def split_lines(text: str) -> list[str]:
    """Split at line breaks alone: not at U+2028, U+0085 and the others that `str.splitlines` takes for such."""
    return _LINE_END.split(text)


def normal(text: str) -> str:
    """Return `text` in Unicode's form NFC, in which a letter and its accent are one character where there is one."""
    return unicodedata.normalize("NFC", text)


def plain_sentences(path: Path, content: bytes) -> list[str]:
    """Return the sentences of a text file, one a line; blank lines are none.

    Raises:
        DataError: it is binary or not in UTF-8.
    """
    text = decode(path, content, lambda before: (f"line {len(split_lines(before))}", ""))
    return [line for line in (normal(line.strip().lstrip(_MARK)) for line in split_lines(text)) if line]
