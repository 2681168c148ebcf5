"""Golden sentences: what PyTorch answered to a few, kept in the version and asked again wherever it is served.

A graph that was right where it was exported can be wrong elsewhere: int8 products saturate on processors without VNNI,
another ONNX Runtime fuses otherwise, another `tokenizers` splits otherwise. So a version carries its own test.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, model_validator

from repository.manifest import RepositoryError, StrictModel, first_mistake

GOLDEN_FILE = "golden.json"

# Tokens of one call, padding included: a replay among other requests holds them up no longer than they do each other.
CALL_TOKENS = 256


class GoldenSentence(StrictModel):
    """One sentence, or pair of texts, with PyTorch's answer to it."""

    text: str
    second: str | None = Field(None, description="The second text of a pair.")
    ids: list[int] = Field(min_length=1, description="Token ids at export, special tokens included.")
    mask: list[int] | None = Field(None, description="Attention mask: 2 for tokens of the second text; else all 1.")
    logits: list[float] = Field(min_length=1, description="PyTorch's, in the order of the manifest's labels.")
    scores: list[float] = Field(min_length=1, description="The same as scores, for people who read the file.")

    @property
    def input(self) -> str | tuple[str, str]:
        """What a tokenizer encodes."""
        return self.text if self.second is None else (self.text, self.second)


class Golden(StrictModel):
    """`golden.json` of a version folder."""

    schema_version: Literal[1] = 1
    max_logit_difference: float = Field(gt=0, description="Most that a logit may differ by, on any machine.")
    sentences: list[GoldenSentence] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "Golden":
        labels = len(self.sentences[0].logits)
        if any({len(sentence.logits), len(sentence.scores)} != {labels} for sentence in self.sentences):
            raise ValueError("every sentence must have as many logits and scores as the first")
        if any(sentence.mask is not None and len(sentence.mask) != len(sentence.ids) for sentence in self.sentences):
            raise ValueError("a mask must be as long as its sentence's ids")
        return self

    @classmethod
    def read(cls, folder: Path, name: str = GOLDEN_FILE) -> "Golden | None":
        """Read `folder/golden.json`, or a file of another name; None where there is none, as in older versions.

        Raises:
            RepositoryError: it is no file of golden sentences.
        """
        path = folder / name
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise RepositoryError(f"{path} is not valid ({first_mistake(error)}): export it again") from None
        except OSError as error:
            raise RepositoryError(f"{path} cannot be read: {error.strerror}") from None

    def write(self, folder: Path) -> None:
        """Write `folder/golden.json`."""
        (folder / GOLDEN_FILE).write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    def check(self, logits: npt.ArrayLike, ids: Sequence[Sequence[int]] | None = None) -> None:
        """Compare logits `[sentences, labels]` with PyTorch's; `ids` are those that were asked, if not the stored ones.

        Raises:
            RepositoryError: one is off; the message gives the largest difference, but no text, which may be personal.
        """
        found = np.asarray(logits, dtype=np.float64)
        expected = np.array([sentence.logits for sentence in self.sentences])
        if found.shape != expected.shape:
            raise RepositoryError(f"golden sentences have logits {expected.shape}, the graph gives {found.shape}")
        # A NaN compares as False, so that it is off, and is the largest.
        differences = np.nan_to_num(np.abs(found - expected), nan=np.inf).max(axis=1)
        off = int((differences > self.max_logit_difference).sum())
        if not off:
            return
        worst = int(differences.argmax())
        reason = (
            f"{off} of {len(expected)} golden sentences are answered otherwise than by PyTorch: logits differ by up to "
            f"{differences[worst]:.3g} (sentence {worst + 1}), {self.max_logit_difference:.3g} allowed"
        )
        others = sum(list(a) != b.ids for a, b in zip(ids, self.sentences, strict=True)) if ids is not None else 0
        if others:
            reason += f"; {others} are tokenized otherwise than at export"
        raise RepositoryError(reason)


def replay_batches(ids: Sequence[Sequence[int]], sentences: int) -> list[list[int]]:
    """Cut into calls of neighbours in length, at most `sentences` and CALL_TOKENS each; a longer one goes alone."""
    batches: list[list[int]] = []
    for index in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        length = len(ids[index])  # the longest so far
        count = len(batches[-1]) + 1 if batches else 1
        if 1 < count <= sentences and length * count <= CALL_TOKENS:
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
