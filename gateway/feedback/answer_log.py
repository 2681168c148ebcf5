"""Which answer does a request's id belong to, whichever worker gave it, and what was said of it?

The last so many answers lie in a file of SQLite that the workers of a machine share, and that a restart finds again: a
list in each worker's memory would know the answers of that worker alone, and a signed token in place of the id would
have to hold the answers to a thousand sentences. Accuracy and coverage are counted in the same table, so that feedback
that is given twice counts once, in whichever worker it came.
"""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from repository.feedback import Right
from repository.manifest import ProblemType

ANSWERS_FILE = "answers.sqlite"
LOCKED_S = 5.0
"""How long a worker waits for another one's transaction, which takes milliseconds."""
MOST_VERSIONS = 10
"""The newest that figures are told of."""
SECONDS_OF_A_DAY = 86_400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (version INTEGER PRIMARY KEY, labels TEXT NOT NULL, problem_type TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, place INTEGER NOT NULL, time REAL NOT NULL, version INTEGER NOT NULL,
    answered TEXT NOT NULL, score REAL, sentence TEXT, given TEXT, is_given INTEGER NOT NULL DEFAULT 0,
    is_right INTEGER, error REAL, UNIQUE (id, place)
);
-- Figures are read off it: rows hold whole sentences.
CREATE INDEX IF NOT EXISTS figures ON answers (version, is_given, is_right, error);
"""


@dataclass(frozen=True)
class KnownAnswer:
    """One answer as it was given."""

    id: str
    place: int
    """Of its sentence in the request, from 0."""
    version: int
    answered: Right
    score: float | None
    """Of the best label that was answered; None of none, and of a number."""
    sentence: str | None


@dataclass(frozen=True)
class KnownVersion:
    """What feedback to a version's answers may say."""

    version: int
    labels: list[str]
    problem_type: ProblemType


@dataclass(frozen=True)
class VersionFigures:
    """What feedback says of one version, among the answers that are remembered."""

    version: int
    answers: int
    given: int
    """Answers that got feedback."""
    right: int
    error: float | None
    """Mean absolute error; None of labels."""


class AnswerLog:
    """The answers of one model on this machine. Every method blocks."""

    def __init__(self, folder: Path, most: int, days: float) -> None:
        """Open or make the file.

        Args:
            folder: where it lies; it is made if it is not there.
            most: answers that are kept.
            days: how long each of them is, at most.

        Raises:
            OSError, sqlite3.Error: it cannot be written there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._most = most
        self._days = days
        self._lock = threading.Lock()
        path = folder / ANSWERS_FILE
        path.touch(mode=0o600)  # answers are nobody else's business
        self._database = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
        self._set_journal()
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA secure_delete = ON")  # a sentence that is forgotten is overwritten
        self._database.executescript(_SCHEMA)

    def _set_journal(self) -> None:
        """Workers that start at once want this at once, and SQLite does not wait for the lock it takes."""
        until = time.monotonic() + LOCKED_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def add(self, answers: Iterable[KnownAnswer], versions: Iterable[KnownVersion]) -> None:
        """Keep answers, and let the oldest go. The same id once more stands for the newer answer."""
        now = time.time()
        rows = [
            (one.id, one.place, now, one.version, json.dumps(one.answered), one.score, one.sentence) for one in answers
        ]
        known = [(one.version, json.dumps(one.labels), one.problem_type.value) for one in versions]
        with self._transaction() as database:
            database.executemany("INSERT OR REPLACE INTO versions VALUES (?, ?, ?)", known)
            # A caller may use an id again, for fewer sentences than before.
            database.executemany("DELETE FROM answers WHERE id = ?", [(each,) for each in {row[0] for row in rows}])
            database.executemany(
                "INSERT OR REPLACE INTO answers (id, place, time, version, answered, score, sentence) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            database.execute("DELETE FROM answers WHERE number <= (SELECT max(number) FROM answers) - ?", (self._most,))
            self._forget_old(database, now)

    def forget_old(self) -> None:
        """Let go what is older than it may get, also where nothing new comes."""
        with self._transaction() as database:
            self._forget_old(database, time.time())

    def _forget_old(self, database: sqlite3.Connection, now: float) -> None:
        # Numbers rise with time: the oldest are the first, and the scan ends at the first that may stay.
        before = now - self._days * SECONDS_OF_A_DAY
        while True:
            first = database.execute("SELECT number, time FROM answers ORDER BY number LIMIT 1").fetchone()
            if first is None or first[1] >= before:
                return
            database.execute(
                "DELETE FROM answers WHERE number IN (SELECT number FROM answers WHERE time < ? "
                "ORDER BY number LIMIT 1000)",
                (before,),
            )

    @contextlib.contextmanager
    def giving(self, request_id: str) -> Iterator["Giving"]:
        """A transaction in which feedback to an answer is given: of two at once, the second sees the first."""
        with self._transaction() as database:
            yield Giving(database, request_id)

    def figures(self) -> list[VersionFigures]:
        """What is known of the newest versions, newest first."""
        with self._lock:
            found = self._database.execute(
                "SELECT version, count(*), sum(is_given), coalesce(sum(is_right), 0), avg(error) FROM answers "
                "GROUP BY version ORDER BY version DESC LIMIT ?",
                (MOST_VERSIONS,),
            ).fetchall()
        return [VersionFigures(*row) for row in found]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


class Giving:
    """One request's answers, while nobody else changes what is known of them."""

    def __init__(self, database: sqlite3.Connection, request_id: str) -> None:
        self._database = database
        self._id = request_id

    def sentences(self) -> int:
        """How many sentences the request had; 0 if its id is unknown."""
        row = self._database.execute("SELECT max(place) FROM answers WHERE id = ?", (self._id,)).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def answer(self, place: int) -> KnownAnswer | None:
        """The answer to one sentence; None if it is unknown."""
        row = self._database.execute(
            "SELECT id, place, version, answered, score, sentence FROM answers WHERE id = ? AND place = ?",
            (self._id, place),
        ).fetchone()
        if row is None:
            return None
        request_id, index, version, answered, score, sentence = row
        return KnownAnswer(request_id, index, version, json.loads(answered), score, sentence)

    def version(self, number: int) -> KnownVersion:
        """What feedback to a version's answers may say."""
        query = "SELECT labels, problem_type FROM versions WHERE version = ?"
        labels, problem_type = self._database.execute(query, (number,)).fetchone()
        return KnownVersion(number, json.loads(labels), ProblemType(problem_type))

    def given(self, place: int) -> Right | None:
        """What was said of one sentence before."""
        query = "SELECT given FROM answers WHERE id = ? AND place = ?"
        (given,) = self._database.execute(query, (self._id, place)).fetchone()
        found: Right | None = None if given is None else json.loads(given)
        return found

    def note(self, place: int, given: Right, is_right: bool | None, error: float | None) -> None:
        """Count feedback to one sentence, in place of an earlier one."""
        self._database.execute(
            "UPDATE answers SET given = ?, is_given = 1, is_right = ?, error = ? WHERE id = ? AND place = ?",
            (json.dumps(given), is_right, error, self._id, place),
        )
