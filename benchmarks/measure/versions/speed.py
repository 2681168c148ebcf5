"""How fast each version is, alone in ONNX Runtime and served, in paired rounds."""

import json
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure.gateway import CONNECTIONS, BenchmarkError
from benchmarks.measure.http_load import LoadResult, closed_loop_for, get_requests
from benchmarks.measure.precision import inputs_of, open_graph, run_each
from benchmarks.measure.resident import resident_mb
from benchmarks.measure.service import Service, ServiceError, running_service
from benchmarks.measure.versions.row import Row
from repository.config import ModelConfig
from repository.inference import Float32Array
from repository.store import ModelStore

MODEL_NAME = "classifier"
ASKED_AT_ONCE = 64
ANSWER_S = 120

Report = Callable[[str], None]


@dataclass(frozen=True)
class Loads:
    """How versions are loaded when they are served."""

    rounds: int = 3
    seconds: float = 4.0
    """Of each of the two loads."""
    connections: int = CONNECTIONS


def measure_graphs(rows: Sequence[Row], sentences: Sequence[str], rounds: int, report: Report) -> None:
    """Sentences a second of each graph alone, in batches of 32 neighbours in length; tokenization is not counted.

    A version of several graphs is left out: what joins their answers is not in this process.
    """
    runs = []
    for row in rows:
        if row.folder is None or not row.is_one_graph:
            continue
        session, (_, batches) = open_graph(row.folder), inputs_of(row.folder, sentences)
        run_each(session, batches[-1:])  # the longest batch: memory is allocated before the clock runs
        runs.append((row, session, batches))
    for number in range(rounds):
        report(f"graphs, round {number + 1} of {rounds}")
        turn = number % len(runs) if runs else 0  # another one starts each round
        for row, session, batches in runs[turn:] + runs[:turn]:
            row.batches_per_second.append(len(sentences) / sum(run_each(session, batches)))


def measure_served(
    rows: Sequence[Row],
    sentences: Sequence[str],
    texts: Sequence[str],
    labels: Sequence[str],
    loads: Loads,
    report: Report,
) -> None:
    """Serve each version in turn: load it, see what it takes in memory, and ask it `texts` in the first round.

    Args:
        rows: versions; those without a folder are left out.
        sentences: asked in turn under load.
        texts: asked once, for their answers.
        labels: the reference's, in the order of the answers' columns.
        loads: how long, and over how many connections.
        report: told of each version.

    A version whose service does not start or answers wrongly is told so in its `problem`; the others go on.

    Raises:
        RepositoryError: a version cannot be published.
    """
    served = [row for row in rows if row.folder is not None]
    with tempfile.TemporaryDirectory(prefix="versions-") as temporary:
        stores = {row.name: _publish(row, Path(temporary, str(place))) for place, row in enumerate(served)}
        for number in range(loads.rounds):
            turn = number % len(served) if served else 0
            for row in served[turn:] + served[:turn]:
                if row.problem:
                    continue
                report(f"served, round {number + 1} of {loads.rounds}: {row.name}")
                try:
                    with running_service(stores[row.name].folder.parent, MODEL_NAME) as service:
                        if row.logits is None:
                            row.logits = ask(service.url, texts, labels)
                        _load(row, service, sentences, loads)
                except (BenchmarkError, ServiceError, OSError) as error:
                    # The last line of a server's log says most; the other versions are measured all the same.
                    row.problem = (str(error).strip().splitlines() or ["it ended"])[-1][:200]
                    report(f"{row.name}: {row.problem}")


def ask(url: str, texts: Sequence[str], labels: Sequence[str]) -> Float32Array:
    """Logits `[texts, labels]` as the gateway answers them, columns in the order of `labels`.

    Raises:
        BenchmarkError: the version has other labels.
    """
    place = {label: column for column, label in enumerate(labels)}
    logits = np.empty((len(texts), len(labels)), dtype=np.float32)
    for start in range(0, len(texts), ASKED_AT_ONCE):
        inputs = [[text] for text in texts[start : start + ASKED_AT_ONCE]]
        body = json.dumps({"inputs": inputs, "truncate": True, "raw_scores": True}).encode()
        request = urllib.request.Request(f"{url}/predict", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            answers = json.load(answer)
        for row, answered in enumerate(answers, start):
            found = {each["label"]: each["score"] for each in answered}
            if found.keys() != place.keys():
                raise BenchmarkError(
                    f"a version answers with the labels {', '.join(sorted(found))}, the reference with "
                    f"{', '.join(sorted(place))}: compare versions with the same labels"
                )
            for label, value in found.items():
                logits[row, place[label]] = value
    return logits


def _publish(row: Row, repository: Path) -> ModelStore:
    assert row.folder is not None
    store = ModelStore(repository, MODEL_NAME)
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig(MODEL_NAME).to_pbtxt())
    store.publish(row.folder)
    return store


def _load(row: Row, service: Service, sentences: Sequence[str], loads: Loads) -> None:
    requests = get_requests(f"{service.url}/classify", sentences)
    busy = _answered(row, closed_loop_for(service.url, requests, loads.connections, loads.seconds))
    alone = _answered(row, closed_loop_for(service.url, requests, 1, loads.seconds))
    row.served_per_second.append(busy.per_second)
    row.alone_ms.append(alone.percentile_ms(0.5))
    row.memory_mb.append(resident_mb(service.pid))


def _answered(row: Row, result: LoadResult) -> LoadResult:
    if set(result.statuses) != {200}:
        raise BenchmarkError(f"{row.name} answered {dict(result.statuses)}, first {result.first_failure[:100]}")
    return result
