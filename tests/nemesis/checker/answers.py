"""Every answer is the named version's own, of a version that was published, and that was not retracted long ago."""

from tests.nemesis.checker.faults import Faults
from tests.nemesis.checker.rules import SENTENCES, Operation, Rule
from tests.nemesis.contents import BROKEN, Own
from tests.nemesis.history import OK

TOLERANCE = 1e-6
RETRACTED_S = 30.0
"""By then a version that was retracted answers no more: what the service promises of a swap (deploy/slo.yaml)."""


class Answers(Rule):
    """Knows the content of every number from those who published it, and from looks at what lies in the repository."""

    name = "answers"

    def __init__(self, own: Own, faults: Faults) -> None:
        super().__init__()
        self._own = own
        self._faults = faults
        self._contents: dict[int, str] = {}
        self._gone: dict[int, float] = {}
        self._waiting: dict[int, list[Operation]] = {}

    def over(self, operation: Operation) -> None:
        """Learn what a version is, or look at an answer."""
        kind, got = operation.invoked.kind, operation.got
        if operation.ended.type != OK:
            return
        if kind == "publish":
            self._learn(operation, got["version"], operation.asked["content"])
        elif kind == "rollback":
            self._learn(operation, got["version"], self._contents.get(got["from"]))
        elif kind == "disk":
            self._look(operation)
        elif kind in SENTENCES:
            self._judge(operation)

    def finish(self) -> None:
        """An answer by a version that nobody ever knew of was not published."""
        super().finish()
        for version, operations in self._waiting.items():
            for operation in operations:
                self.broken(operation, f"answered by version {version}, which was never published")

    def _look(self, operation: Operation) -> None:
        seen = {int(number): content for number, content in operation.got["versions"].items()}
        for number, content in seen.items():
            self._learn(operation, number, content)
        for number in self._contents.keys() - seen.keys():
            self._gone.setdefault(number, operation.ended.at)

    def _learn(self, operation: Operation, number: int, content: str | None) -> None:
        """None: what it is cannot be read now."""
        if content is None:
            return
        if (known := self._contents.setdefault(number, content)) != content:
            self.broken(operation, f"number {number} stood for {known}, and stands for {content} now")
        if number in self._gone:
            self.broken(operation, f"number {number} was used up, and was given out again")
            del self._gone[number]
        for waiting in self._waiting.pop(number, []):
            self._judge(waiting)

    def _judge(self, operation: Operation) -> None:
        version = operation.got["version"]
        if (named := operation.asked["version"]) not in (None, version):
            self.broken(operation, f"version {named} was asked for, and version {version} answered")
        content = self._contents.get(version)
        if content is None:  # a publisher may not have returned yet
            self._waiting.setdefault(version, []).append(operation)
            return
        if content == BROKEN:
            self.broken(operation, f"answered by version {version}, which is broken")
            return
        expected = [self._own[content][place] for place in operation.asked["sentences"]]
        if not _same(operation.got["answers"], expected):
            what = f"version {version} answers {expected}, and {operation.got['answers']} came in its name"
            self.broken(operation, what)
        gone = self._gone.get(version)
        if gone is not None and operation.invoked.at > max(gone, self._faults.quiet_since()) + RETRACTED_S:
            self.broken(operation, f"answered by version {version}, which went at {gone:.3f} s")


def _same(found: list[tuple[str, float]], expected: list[tuple[str, float]]) -> bool:
    return len(found) == len(expected) and all(
        label == wanted and abs(score - value) <= TOLERANCE
        for (label, score), (wanted, value) in zip(found, expected, strict=True)
    )
