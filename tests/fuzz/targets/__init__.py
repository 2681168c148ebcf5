"""What is fuzzed: a module each, with `check` and, of use to a fuzzer, words that inputs are made of."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "corpus"

NAMES = ("fast_lane", "http_protocol", "triton_wire", "manifest", "training_tables", "batch_tables")


@dataclass(frozen=True)
class Target:
    """One reader that is fuzzed."""

    name: str
    check: Callable[[bytes], None]
    """Raises AssertionError where a promise is not kept."""
    words: tuple[bytes, ...]
    """What is put into inputs, beside single bytes."""
    files: tuple[str, ...]
    """The source files whose lines are counted."""

    @property
    def corpus(self) -> Path:
        """The folder of the inputs that are kept."""
        return CORPUS / self.name


def load(name: str) -> Target:
    """The target of that name. Import it where `atheris` looks on, if what it reaches is to be seen."""
    module = importlib.import_module(f"tests.fuzz.targets.{name}")
    return Target(name, module.check, tuple(module.WORDS), tuple(module.FILES))
