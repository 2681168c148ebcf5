"""Texts without a label, to learn from a teacher's answers to them: of files, and made of the training texts."""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repository.scripts import letters_of
from repository.text_columns import USUAL_TEXTS, joined_text
from training.data.columns import Columns, Wanted, listed
from training.data.examples import DataError, Example, fold_white_space
from training.data.file_text import is_parquet, plain_sentences, read_content
from training.data.load import TrainingData
from training.data.lookalikes import alike_title
from training.data.reading import text_of
from training.data.sources import read_source
from training.data.tables import Table, holds_records, suffix_of

TEXT_SUFFIX = ".txt"
# Words of a piece; of a long text up to half of it.
_SHORTEST, _LONGEST = 3, 14
_UNSPACED = letters_of("Thai", "Lao", "Myanmar", "Khmer", "Kana", "Han")
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


@dataclass(frozen=True)
class OtherTexts:
    """Texts beside the labelled ones, each once."""

    texts: list[str]
    unlabelled: int
    """How many of them are of files."""
    recombined: int
    """How many were put together of training texts and titles."""
    pieces: int
    """How many are pieces of training texts."""
    held_out: int
    """Left out: of validation or test, or the same as a text there."""

    @property
    def digest(self) -> str:
        """By which the same texts are known."""
        return hashlib.sha256("\n".join(self.texts).encode("utf-8", "surrogatepass")).hexdigest()


def other_texts(
    data: TrainingData, sources: Sequence[str], recombine: bool, seed: int, pieces_each: int = 0
) -> OtherTexts:
    """Return what a student learns from beside the training texts.

    Args:
        data: read and split; no text of its validation and test splits is returned.
        sources: files without labels, of the same columns, or of a text a line.
        recombine: whether texts are made of those that are trained on.
        seed: of what is put together.
        pieces_each: pieces of each text that is trained on.

    Raises:
        DataError: a file can't be read, or has no text.
    """
    kept = _Kept(data)
    for source in sources:
        for example in _read(source, data.columns):
            kept.add(example)
    unlabelled = len(kept.texts)
    if recombine:
        for text in recombined(data.splits["train"], seed):
            kept.add(Example(text, "", text))
    recombined_texts = len(kept.texts) - unlabelled
    for text in pieces([example.text for example in data.splits["train"]], pieces_each, seed):
        kept.add(Example(text, "", text))
    cut = len(kept.texts) - unlabelled - recombined_texts
    return OtherTexts(kept.texts, unlabelled, recombined_texts, cut, kept.held_out)


class _Kept:
    """Texts that are not held out, each once, without those that are trained on."""

    def __init__(self, data: TrainingData) -> None:
        held_out = [*data.splits["validation"], *data.splits["test"]]
        self._held_out = {alike_title(example.text) for example in held_out}
        self._record = data.record
        self._seen = {example.text for example in data.splits["train"]}
        self.texts: list[str] = []
        self.held_out = 0

    def add(self, example: Example) -> None:
        if example.text in self._seen:
            return
        of_group = self._record.split_of(example) if example.group != example.text else None
        if of_group in ("validation", "test") or alike_title(example.text) in self._held_out:
            self.held_out += 1
            return
        self._seen.add(example.text)
        self.texts.append(example.text)


def recombined(examples: Sequence[Example], seed: int) -> Iterator[str]:
    """Yield texts put together of examples of groups with titles: each title, each own text alone and under another.

    A student sees so how its teacher weighs a title against what stands beside it.
    """
    titles = sorted({example.group_title for example in examples if example.group_title})
    yield from titles
    dealer = random.Random(seed)
    for example in examples:
        yield example.own_text
        others = [title for title in dealer.sample(titles, min(2, len(titles))) if title != example.group_title]
        if others:
            yield joined_text((example.own_text, others[0]))


def pieces(texts: Sequence[str], each: int, seed: int) -> Iterator[str]:
    """Yield pieces of texts: some words in a row, and for each third piece those of another text after them.

    They show a student which words of a text make the teacher answer as it does. Of scripts that put no space between
    words, a character counts as one.

    Args:
        texts: to be cut.
        each: pieces of each text.
        seed: of where they are cut.
    """
    dealer = random.Random(seed)
    for text in texts:
        for number in range(each):
            piece = _piece(text, dealer)
            yield f"{piece} {_piece(dealer.choice(texts), dealer)}" if number % 3 == 2 else piece


def _piece(text: str, dealer: random.Random) -> str:
    words = list(_WORD.finditer(text))
    if not words:
        return text
    length = min(len(words), dealer.randint(_SHORTEST, max(_LONGEST, len(words) // 2)))
    first = dealer.randint(0, len(words) - length)
    return text[words[first].start() : words[first + length - 1].end()]


def _read(source: str, columns: Columns) -> Iterator[Example]:
    path = Path(source).expanduser()
    if path.is_file() and suffix_of(path) == TEXT_SUFFIX:
        content = read_content(path)
        if not is_parquet(content) and not holds_records(content):
            lines = plain_sentences(path, content)
            if not lines:
                raise DataError(f"{path} holds no text; give one a line.")
            yield from (Example(line, "", line) for line in lines)
            return
    for _, table in read_source(source, Wanted(columns.text, None, columns.group)):
        yield from _of_table(table, columns)


def _of_table(table: Table, columns: Columns) -> Iterator[Example]:
    texts = columns.text
    if not set(texts) <= set(table.columns):
        texts = tuple(name for name in USUAL_TEXTS if name in table.columns)[:1]
    if not texts:
        raise DataError(
            f"{table.path} has neither the columns of the teacher's texts ({', '.join(columns.text)}) nor one called "
            f"{' or '.join(USUAL_TEXTS)}; it has {listed(table.columns)}."
        )
    group, title = (name if name in table.columns else None for name in (columns.group, columns.group_title))
    as_read = Columns(texts, "", group)
    optional: Iterable[str] = [name for name in (group, title) if name]
    for row in table.rows(texts, tuple(optional), ids=(group,) if group else ()):
        if text := text_of(row.fields, as_read):
            name = fold_white_space(row.fields.get(group or "", "")) or text
            yield Example(text, "", name, fold_white_space(row.fields.get(title or "", "")))
