"""Other servers beside this one: locked, started, checked before they are timed, stopped; a row for each, whatever."""

import ast
import contextlib
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.alternatives import AlternativeError, environments
from benchmarks.alternatives.answers import Answer, Question, difference
from benchmarks.alternatives.environments import LOCKS, obtain
from benchmarks.alternatives.measure import Beside
from benchmarks.alternatives.ours import Ours
from benchmarks.alternatives.outcome import ENOUGH_FOR_P99, Figures, Loads, Outcome
from benchmarks.alternatives.processes import memory_mb, paused, running, wait_until_ready
from benchmarks.alternatives.registry import ALTERNATIVES, SERVERS, Alternative, Launch
from benchmarks.alternatives.table import alternatives_table
from benchmarks.commands.everything import QUICK, measure_or_leave_out
from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.http_load import LoadResult
from benchmarks.measure.service import free_ports

# Answers `GET /classify` with one label; after `limit` requests with status 500; in chunks if it is told to.
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, label, limit, chunked = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), len(sys.argv) > 4
answered = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        global answered
        answered += 1
        body = json.dumps([{"label": "other", "score": 0.25}, {"label": label, "score": 0.75}]).encode()
        self.send_response(200 if answered <= limit else 500)
        self.send_header("transfer-encoding" if chunked else "content-length", "chunked" if chunked else str(len(body)))
        self.end_headers()
        self.wfile.write(b"%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(body), body) if chunked else body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
SENTENCES = [f"sentence {number}" for number in range(30)]
EXPECTED = [Answer("cat", 0.75)] * len(SENTENCES)


def launch(folder: Path) -> Launch:
    return Launch(folder / "bin", folder / "checkpoint", folder / "version", folder, free_ports(3))


def fake(folder: Path, *arguments: str, tolerance: float = 1e-3) -> Alternative:
    """A real server, but one that knows its answers beforehand."""
    script = folder / "server.py"
    script.write_text(SERVER)
    return Alternative(
        name="fake",
        title="Fake",
        package="fake:1.0",
        environment="",
        settings="none",
        command=lambda launch: [sys.executable, str(script), str(launch.port), *arguments],
        question=Question("/classify"),
        tolerance=tolerance,
    )


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    """What stands for this server: its speed is not what is tested."""
    folder = tmp_path_factory.mktemp("ours")
    own = launch(folder)
    command = fake(folder, "cat", "1000000").command(own)
    with running(command, {}, folder, lambda: answers(own.url)) as process:
        yield Ours(own.url, process.pid, folder)


def answers(url: str) -> bool:
    try:
        Question("/classify").ask(url, "a")
    except AlternativeError:
        return False
    return True


def measured(ours: Ours, folder: Path, alternative: Alternative) -> Outcome:
    outcome = Outcome(alternative)
    loads = Loads((1, 4), seconds=0.5, run_up_s=0.0, rounds=2)
    Beside(ours, folder, SENTENCES, loads, SENTENCES, EXPECTED, lambda _: None).measure(outcome, folder)
    return outcome


def requirement_names(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [re.split(r"[\[<>=;\s]", line)[0] for line in lines]


@pytest.mark.parametrize("environment", sorted({each.environment for each in ALTERNATIVES if each.environment}))
def test_every_package_of_an_environment_is_locked_to_one_version(environment: str) -> None:
    lock = (LOCKS / f"{environment}.txt").read_text()
    locked = {}
    for line in filter(None, (line.partition("#")[0].strip() for line in lock.splitlines())):
        match = re.fullmatch(r"([a-z0-9._-]+)==([a-z0-9.+]+)(?: ;.*)?", line)
        assert match, line
        locked[match[1]] = match[2]
    assert locked["torch"] == "2.13.0"
    assert set(requirement_names((LOCKS / f"{environment}.in").read_text())) <= set(locked)
    alone = LOCKS / f"{environment}.alone"
    assert not alone.exists() or re.fullmatch(r"([a-z0-9._-]+==[a-z0-9.]+\n)+", alone.read_text())


def test_every_lock_is_used_and_every_alternative_is_described() -> None:
    assert {path.stem for path in LOCKS.iterdir()} == {each.environment for each in ALTERNATIVES} - {""}
    assert len({each.name for each in ALTERNATIVES}) == len(ALTERNATIVES) == 11
    for alternative in ALTERNATIVES:
        assert alternative.settings
        assert re.fullmatch(r"[a-z0-9.-]+", Outcome(alternative).version)


@pytest.mark.parametrize("alternative", ALTERNATIVES, ids=lambda each: each.name)
def test_an_alternative_listens_on_this_machine_alone_and_serves_the_checkpoint(
    alternative: Alternative, tmp_path: Path
) -> None:
    started = launch(tmp_path)
    command = alternative.command(started)
    given = " ".join(command) + "".join(path.read_text() for path in tmp_path.glob("*.json"))
    scripts = [SERVERS / Path(part).name for part in command if part.endswith(".py")]
    given += "".join(script.read_text() for script in scripts)
    assert str(started.port) in given
    assert "127.0.0.1" in given
    assert "0.0.0.0" not in given
    prepared = alternative.prepare(started) if alternative.prepare else []
    served = str(started.version if "onnxruntime" in alternative.name else started.checkpoint)
    assert served in " ".join([given, *prepared]) or alternative.name == "bentoml"  # by a variable


@pytest.mark.parametrize("script", sorted(SERVERS.glob("*.py")), ids=lambda script: script.stem)
def test_a_server_needs_nothing_of_this_project(script: Path) -> None:
    """It runs in another environment."""
    modules = {
        node.module or "" for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.ImportFrom)
    }
    assert not {module.split(".")[0] for module in modules} & {"benchmarks", "repository", "gateway", "export"}


@pytest.mark.parametrize("chunked", [False, True])
def test_an_alternative_with_the_right_answers_is_timed(ours: Ours, tmp_path: Path, chunked: bool) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "cat", "1000000", *["chunked"] * chunked))
    assert outcome.reason == ""
    assert [len(rounds) for rounds in outcome.pairs.values()] == [2, 2]
    for connections in (1, 4):
        assert outcome.figures(connections).per_second > 20
        assert 0 < outcome.figures(connections).p50_ms < 1000
        assert 0 < outcome.ratios(connections)[0] <= outcome.ratios(connections)[1]


def come_to_rest(pids: list[int]) -> bool:
    """Whether all are stopped, soon: a signal is taken in when the process has its turn."""
    deadline = time.monotonic() + 10
    while {psutil.Process(pid).status() for pid in pids} != {psutil.STATUS_STOPPED}:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_server_is_held_still_while_the_other_one_is_measured(ours: Ours) -> None:
    with paused(psutil.Process(ours.pid)):
        assert come_to_rest([ours.pid])
        with pytest.raises(AlternativeError, match="timed out"):
            Question("/classify").ask(ours.url, "a", timeout_s=0.3)
    wait_until_ready(lambda: answers(ours.url))
    assert psutil.Process(ours.pid).status() != psutil.STATUS_STOPPED


def test_a_server_is_held_still_with_all_that_it_started(tmp_path: Path) -> None:
    with family(tmp_path) as pids:
        with paused(psutil.Process(pids[0])):
            assert come_to_rest(pids)
        with pytest.raises(KeyboardInterrupt), paused(psutil.Process(pids[0])):
            raise KeyboardInterrupt
        assert psutil.STATUS_STOPPED not in {psutil.Process(pid).status() for pid in pids}


def test_a_99th_percentile_is_shown_of_a_thousand_answers_and_blank_of_fewer() -> None:
    slow = LoadResult(seconds=1.0, latencies_ms=[50.0] * 20, statuses=Counter({200: 20}))
    fast = LoadResult(seconds=1.0, latencies_ms=[1.0] * (ENOUGH_FOR_P99 - 20), statuses=Counter({200: 980}))
    assert Figures.of([fast]).p99_ms is None
    assert Figures.of([fast, slow]) == Figures(500.0, 1.0, 50.0, ENOUGH_FOR_P99)  # of all together, no mean of two
    outcome = Outcome(ALTERNATIVES[0], pairs={1: [(slow, fast)]}, memory_mb=1.0, our_memory_mb=300.0)
    row, theirs = alternatives_table([outcome]).rows
    assert (row[3], row[5]) == ("1.0", "300 MB")
    assert theirs[3:5] == ["50.0", "0.02 (0.02 … 0.02)"]


def test_answers_that_differ_are_a_row_that_says_so_and_are_not_timed(ours: Ours, tmp_path: Path) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "dog", "1000000"))
    assert "another label for 30 of 30 sentences: 'sentence 0' is dog, the pipeline says cat" in outcome.reason
    assert outcome.pairs == {}
    row = alternatives_table([outcome]).rows[-1]
    assert row[0] == "Fake 1.0"
    assert row[-1] == outcome.reason


def test_an_alternative_that_does_not_start_is_a_row_that_says_why(ours: Ours, tmp_path: Path) -> None:
    alternative = fake(tmp_path, "cat", "1000000")
    (tmp_path / "server.py").write_text("print('loading')\nraise ImportError('no engine of that name')\n")
    outcome = measured(ours, tmp_path, alternative)
    assert outcome.reason == "does not start, status 1: ImportError: no engine of that name"
    assert "no engine of that name" in alternatives_table([outcome]).to_markdown()


def test_an_alternative_that_fails_under_load_is_a_row_that_says_why(ours: Ours, tmp_path: Path) -> None:
    outcome = measured(ours, tmp_path, fake(tmp_path, "cat", "40"))
    assert re.search(r"failed \d+ of \d+ requests at \d connections: ", outcome.reason)
    assert outcome.pairs == {}


def test_this_server_failing_under_load_ends_the_measurement(tmp_path: Path) -> None:
    own = launch(tmp_path)
    with (
        running(fake(tmp_path, "cat", "40").command(own), {}, tmp_path, lambda: answers(own.url)) as process,
        pytest.raises(BenchmarkError, match="this server failed"),
    ):
        measured(Ours(own.url, process.pid, tmp_path), tmp_path, fake(tmp_path, "cat", "1000000"))


def test_answers_are_the_same_up_to_a_tolerance() -> None:
    found, expected = [Answer("a", 0.5), Answer("b", 0.9)], [Answer("a", 0.5008), Answer("b", 0.9)]
    assert difference(found, expected, ["x", "y"], 1e-3) is None
    assert difference(found, expected, ["x", "y"], 5e-4) == "scores differ by up to 0.0008, more than 0.0005"


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'[{"label": "a"}]', b'{"error": "x"}', b'[["a", 1]]'])
def test_an_answer_in_another_form_is_told(body: bytes) -> None:
    with pytest.raises(AlternativeError, match="another form"):
        Question("/classify").read(body)


def test_each_form_of_answer_is_read() -> None:
    forms = {
        "infinity-torch": b'{"data": [[{"score": 0.1, "label": "a"}, {"score": 0.9, "label": "b"}]]}',
        "mlserver": b'{"outputs": [{"data": ["{\\"label\\": \\"b\\", \\"score\\": 0.9}"]}]}',
        "bentoml": b'[{"label": "b", "score": 0.9}]',
        "tei": b'[{"score": 0.9, "label": "b"}, {"score": 0.1, "label": "a"}]',
    }
    questions = {alternative.name: alternative.question for alternative in ALTERNATIVES}
    for name, body in forms.items():
        assert questions[name].read(body) == Answer("b", 0.9)


# Starts a child in another session and an orphan in its own, and tells their numbers; ignores SIGTERM if told to.
FAMILY = """
import os, signal, subprocess, sys, time

sleep = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(300)"]
away = subprocess.Popen(sleep, start_new_session=True)
quiet = "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL"
leave = f"import subprocess; print(subprocess.Popen({sleep!r}, {quiet}).pid)"
orphan = subprocess.run([sys.executable, "-c", leave], capture_output=True, text=True).stdout
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open("pids.new", "w") as file:
    file.write(f"{away.pid} {orphan}")
os.rename("pids.new", "pids")
if "fails" in sys.argv:
    sys.exit(3)
time.sleep(300)
"""


@contextlib.contextmanager
def family(folder: Path, *arguments: str) -> Iterator[list[int]]:
    """Runs the family; yields the number of each, its head first."""
    told = folder / "pids"
    with running([sys.executable, "-c", FAMILY, *arguments], {}, folder, told.exists) as process:
        assert memory_mb(process) > 5
        yield [process.pid, *map(int, told.read_text().split())]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_whatever_a_server_started_is_stopped_with_it(tmp_path: Path) -> None:
    with family(tmp_path) as pids:
        assert len(alive(pids)) == 3
        assert os.getsid(pids[1]) != os.getsid(pids[0])
    assert alive(pids) == []


def test_a_server_that_does_not_end_when_asked_is_killed_on_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.alternatives.processes.STOP_S", 1.0)
    with pytest.raises(KeyboardInterrupt), family(tmp_path, "stubborn") as pids:
        raise KeyboardInterrupt
    assert alive(pids) == []


def test_what_a_server_left_when_it_failed_to_start_is_stopped(tmp_path: Path) -> None:
    with (
        pytest.raises(AlternativeError, match="status 3: it wrote nothing"),
        running([sys.executable, "-c", FAMILY, "fails"], {}, tmp_path, lambda: False),
    ):
        pass
    left = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(left) == 2
    assert alive(left) == []


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path: Path) -> None:
    start = time.monotonic()
    command = [sys.executable, "-c", "import time; print('still loading', flush=True); time.sleep(300)"]
    with (
        pytest.raises(AlternativeError, match="does not answer within 1 s: still loading"),
        running(command, {}, tmp_path, lambda: False, ready_s=1.0),
    ):
        pass
    assert time.monotonic() - start < 10


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of locks with one environment, `ray`, that holds no package."""
    folder = tmp_path / "locks"
    folder.mkdir()
    for suffix in ("in", "txt"):
        (folder / f"ray.{suffix}").write_text("# nothing\n")
    monkeypatch.setattr(environments, "LOCKS", folder)
    return folder


def test_an_environment_is_made_once_and_again_when_its_lock_changes(locks: Path, tmp_path: Path) -> None:
    said: list[str] = []
    ray = next(each for each in ALTERNATIVES if each.name == "ray")
    for _ in range(2):
        programs = obtain(ray, tmp_path / "made", create=True, report=said.append)
    assert (programs / "python").exists()
    assert len(said) == 1
    (locks / "ray.txt").write_text("# changed\n")
    with pytest.raises(AlternativeError, match="not installed; `python -m benchmarks alternatives`"):
        obtain(ray, tmp_path / "made", create=False, report=said.append)
    obtain(ray, tmp_path / "made", create=True, report=said.append)
    assert len(said) == 2


def test_an_environment_that_cannot_be_made_says_why_and_is_tried_again(locks: Path, tmp_path: Path) -> None:
    (locks / "ray.in").write_text("./nothing-of-that-name\n")
    ray = next(each for each in ALTERNATIVES if each.name == "ray")
    for _ in range(2):
        with pytest.raises(AlternativeError, match=r"does not install: .*nothing-of-that-name"):
            obtain(ray, tmp_path / "made", create=True, report=lambda _: None)


def test_without_docker_the_container_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    tei = next(each for each in ALTERNATIVES if each.name == "tei")
    with pytest.raises(AlternativeError, match="no Docker on PATH"):
        obtain(tei, tmp_path, create=True, report=lambda _: None)


@pytest.mark.parametrize(
    ("engine", "image", "reason"), [(1, 1, "no Docker engine answers"), (0, 1, "image not present; `docker pull")]
)
def test_an_engine_that_is_away_is_told_from_an_image_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: int, image: int, reason: str
) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\n[ $1 = version ] && exit {engine}\nexit {image}\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    tei = next(each for each in ALTERNATIVES if each.name == "tei")
    with pytest.raises(AlternativeError, match=reason):
        obtain(tei, tmp_path, create=True, report=lambda _: None)


def test_a_quick_run_installs_nothing_and_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # no environment lies here
    without = measure_or_leave_out(tmp_path, SENTENCES, QUICK, lambda _: None)
    assert [outcome.alternative for outcome in without] == list(ALTERNATIVES)
    assert {outcome.reason for outcome in without} == {f"no checkpoint in {tmp_path}: name one with --checkpoint"}
    (tmp_path / "config.json").write_text("{}")
    outcomes = measure_or_leave_out(tmp_path, SENTENCES, QUICK, lambda _: None)
    assert [outcome.alternative.name for outcome in outcomes] == [each.name for each in ALTERNATIVES]
    assert outcomes[0].reason == "not installed; `python -m benchmarks alternatives` installs it"
    assert {outcome.reason for outcome in outcomes[1:]} == {"left out of a quick run"}
    assert not (tmp_path / ".alternatives").exists()
    assert len(alternatives_table(outcomes).rows) == len(ALTERNATIVES)


def test_the_command_lists_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    listed = CliRunner().invoke(app, ["alternatives", "--list"])
    assert listed.exit_code == 0
    assert all(alternative.name in listed.output for alternative in ALTERNATIVES)
    assert CliRunner().invoke(app, ["alternatives", "--only", "nothing"]).exit_code == 2
    assert CliRunner().invoke(app, ["alternatives", "--connections", "1,x"]).exit_code == 2
    assert CliRunner().invoke(app, ["alternatives", "--checkpoint", str(tmp_path)]).exit_code == 2
