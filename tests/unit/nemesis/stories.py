"""Histories written by hand: operations with the moments at which they begin and end, in any order."""

from typing import Any, Self

from tests.nemesis.checker import check
from tests.nemesis.history import FAIL, INFO, INVOKE, OK, Entry

OWN = {name: [(name, 0.5), (name, 0.75)] for name in ("a", "b", "c")}
"""Contents, each with its answers to two sentences."""


class Story:
    """Version 1 has the content `a`."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._ops = 0
        self.publish(0.0, 0.5, 1, "a")

    def add(self, kind: str, begin: float, end: float | None, asked: Any, outcome: str = OK, **got: Any) -> Self:
        """An operation; without an end nobody knows what came of it."""
        self._ops += 1
        self._entries.append(Entry(begin, f"process-{self._ops}", kind, INVOKE, self._ops, asked))
        if end is not None:
            self._entries.append(Entry(end, f"process-{self._ops}", kind, outcome, self._ops, got))
        return self

    def publish(self, begin: float, end: float, version: int, content: str) -> Self:
        """One that went well."""
        return self.add("publish", begin, end, {"content": content}, version=version)

    def disk(self, at: float, **versions: str) -> Self:
        """What lies there: `v1="a"`."""
        return self.add("disk", at, at, {}, versions={name[1:]: content for name, content in versions.items()})

    def answer(self, begin: float, end: float, version: int, content: str, named: int | None = None) -> Self:
        """The first sentence's answer by a content, under the number of a version."""
        asked = {"sentences": [0], "version": named}
        return self.add("classify", begin, end, asked, version=version, answers=[list(OWN[content][0])])

    def models(self, begin: float, end: float, current: int, *others: int) -> Self:
        """GET /models: the current version, and others that Triton serves."""
        states = {str(current): "current", **{str(version): "ready" for version in others}}
        return self.add("models", begin, end, {}, current=current, states=states)

    def refused(self, begin: float, end: float, status: int, named: int | None = None, **got: Any) -> Self:
        """A status other than 200."""
        got = {"error": "no", "retry_after": "1", "deadline_s": 5.0, **got}
        return self.add("classify", begin, end, {"sentences": [0], "version": named}, FAIL, status=status, **got)

    def lost(self, begin: float, end: float, waited_s: float) -> Self:
        """A connection that ended, or was given up."""
        asked = {"sentences": [0], "version": None}
        return self.add("classify", begin, end, asked, INFO, error="reset", waited_s=waited_s)

    def fault(self, begin: float, end: float | None, *explains: str, moves: Any = ()) -> Self:
        """A fault, whatever its name."""
        return self.add("fault", begin, end, {"fault": "harm", "explains": explains, "moves": moves})

    def command(self, kind: str, begin: float, end: float, version: int | None = None, outcome: str = OK) -> Self:
        """pin, unpin, retract."""
        return self.add(kind, begin, end, {} if version is None else {"version": version}, outcome, error="no")

    def broken(self) -> list[tuple[str, str]]:
        """Rule and words of each violation."""
        entries = sorted(self._entries, key=lambda entry: (entry.at, entry.type != INVOKE, entry.op))
        return [(found.rule, found.what) for found in check(OWN, entries)]

    def rules(self) -> list[str]:
        """The rules that are violated."""
        return [rule for rule, _ in self.broken()]
