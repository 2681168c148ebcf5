"""The measuring instruments: what they count, what they read, and what they conclude."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.measure import http_load
from benchmarks.measure.arithmetic import graph_size, peak_operations_per_second
from benchmarks.measure.http_load import closed_loop, closed_loop_for, get_requests
from benchmarks.measure.machine import this_machine
from benchmarks.measure.open_loop import open_loop
from benchmarks.measure.perf_analyzer import PerfAnalyzerError, read_report, write_inputs
from benchmarks.measure.triton_sweep import Sweep
from benchmarks.report.guard import GuardError, compare
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from repository.manifest import MODEL_FILE
from tests.version_folders import LAYER_WIDTH, write_version

REPORT = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,Server Compute Input,\
Server Compute Infer,Server Compute Output,Client Recv,p50 latency,p90 latency,p95 latency,p99 latency
4,120.5,10,900,1500,40,7000,350,5,9000,12000,15000,21000
"""


def test_a_report_of_perf_analyzer_is_read_in_milliseconds() -> None:
    measured = read_report(REPORT)
    assert measured.sentences_per_second == 120.5
    assert (measured.p50_ms, measured.p99_ms) == (9.0, 21.0)
    assert (measured.queue_ms, measured.compute_infer_ms, measured.compute_output_ms) == (1.5, 7.0, 0.35)


@pytest.mark.parametrize("text", ["", "Concurrency\n", REPORT.replace("Server Queue", "Queue"), "a,b\n1,2\n"])
def test_another_report_is_refused(text: str) -> None:
    with pytest.raises(PerfAnalyzerError):
        read_report(text)


def test_inputs_are_cut_and_padded_to_a_length_or_left_as_they_are(tmp_path: Path) -> None:
    write_inputs(tmp_path / "fixed.json", [[5, 6], [7, 8, 9, 10]], pad_token_id=1, length=3)
    rows = json.loads((tmp_path / "fixed.json").read_text())["data"]
    assert [row["input_ids"]["content"] for row in rows] == [[5, 6, 1], [7, 8, 9]]
    assert [row["attention_mask"]["content"] for row in rows] == [[1, 1, 0], [1, 1, 1]]
    assert rows[0]["input_ids"]["shape"] == [3]
    write_inputs(tmp_path / "own.json", [[5, 6], [7] * 9], pad_token_id=1, length=None)
    rows = json.loads((tmp_path / "own.json").read_text())["data"]
    assert [row["input_ids"]["shape"] for row in rows] == [[8], [16]]  # whole multiples, which Triton can join


def test_a_sweep_measures_each_load_once() -> None:
    loads = Sweep(("http",), (1, 4), (1, 8), (16, 32), 1000).loads()
    assert len(loads) == len(set(loads)) == 2 + 2 + 2 - 1  # the last batch size at the first length is in both
    assert all(load.length is not None for load in loads if load.batch_size > 1)


def test_operations_are_counted_from_the_graph(tmp_path: Path) -> None:
    size = graph_size(write_version(tmp_path / "version", {"cat": "A", "oak": "B"}, layers=3) / MODEL_FILE)
    assert size.weights == LAYER_WIDTH**2  # one matrix, used three times
    assert size.operations(10) == 20 * LAYER_WIDTH**2
    assert peak_operations_per_second(1) > 1e8


@contextmanager
def server(pause_s: float = 0.0, status: int = 200) -> Iterator[str]:
    """Answers at once, but for one pause of the whole server at its tenth request."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    address: list[int] = []
    count = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                count += 1
                if count == 10:
                    time.sleep(pause_s)
                writer.write(b"HTTP/1.1 %d x\r\ncontent-length: 2\r\n\r\n[]" % status)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def serve() -> None:
        running = await asyncio.start_server(answer, "127.0.0.1", 0)
        address.append(running.sockets[0].getsockname()[1])
        started.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    started.wait()
    try:
        yield f"http://127.0.0.1:{address[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_an_open_loop_sends_at_its_rate_and_sees_a_pause_in_full() -> None:
    """A closed loop over one connection sees a pause once; at 200 a second, a pause of one second hits two hundred."""
    with server(pause_s=1.0) as url:
        requests = get_requests(f"{url}/classify", ["cat"] * 200)
        result = open_loop(url, requests, rate=200, seconds=1.5)
        assert 220 < result.statuses[200] < 380
        assert sum(latency > 400 for latency in result.latencies_ms) > 60
    with server(pause_s=1.0) as url:
        result = closed_loop(url, get_requests(f"{url}/classify", ["cat"] * 200), 1)
        assert sum(latency > 400 for latency in result.latencies_ms) < 10


def test_an_open_loop_past_saturation_counts_no_answer_that_came_when_no_more_requests_did() -> None:
    """A server that answers nothing for as long as requests come has no throughput, though all are answered later."""
    with server(pause_s=1.5) as url:
        requests = get_requests(url, ["cat"])
        result = open_loop(url, requests, rate=400, seconds=0.5)
        assert result.statuses[200] == len(result.latencies_ms) > 100  # all in the end
        assert result.per_second < 40


def test_an_open_loop_counts_refusals_apart() -> None:
    with server(status=503) as url:
        result = open_loop(url, get_requests(url, ["cat"]), rate=100, seconds=0.5)
        assert result.statuses[200] == 0
        assert result.statuses[503] > 20
        assert result.first_failure == "[]"


def test_a_closed_loop_for_a_time_asks_the_same_again_until_it_is_over() -> None:
    with server() as url:
        result = closed_loop_for(url, get_requests(url, ["cat", "oak"]), 4, seconds=0.4)
        assert result.statuses[200] == result.statuses.total() == len(result.latencies_ms) + result.outside > 20
        assert result.seconds == 0.4


def test_a_closed_loop_gives_up_on_a_server_that_stops_answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_load, "GIVE_UP_S", 0.2)
    with server(pause_s=2.0) as url, pytest.raises(TimeoutError):
        closed_loop_for(url, get_requests(url, ["cat"]), 1, seconds=0.2)


def test_a_result_is_on_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    results = ResultFolder.create(tmp_path, this_machine())
    results.add("limit", {"best": 3}, ResultTable("A <title>", ("a|b", "c"), [["1 < 2", "x"]], "A note."))
    raw = json.loads((results.folder / "results.json").read_text())
    assert raw["limit"] == {"best": 3}
    assert raw["machine"]["cores"] >= 1
    markdown = (results.folder / "report.md").read_text()
    assert "| a\\|b | c |\n| --- | --- |\n| 1 < 2 | x |" in markdown
    page = (results.folder / "report.html").read_text()
    assert "<h2>A &lt;title&gt;</h2>" in page
    assert "1 &lt; 2" in page


def write_result(folder: Path, ratios: list[float], milliseconds: list[float]) -> Path:
    folder.mkdir()
    pairs = [[ratio * 100, 100.0] for ratio in ratios]
    entries = [
        {"name": "rate", "difference": False, "pairs": pairs},
        {"name": "latency", "difference": True, "pairs": [[4 + each, 4.0] for each in milliseconds]},
    ]
    (folder / "results.json").write_text(json.dumps({"gateway": entries}))
    return folder


def test_a_result_that_is_slower_beyond_noise_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    before = write_result(tmp_path / "a", [0.90, 0.92, 0.88, 0.95, 0.91], [1.5, 1.7, 1.4, 1.6, 1.5])
    noisy = write_result(tmp_path / "b", [0.85, 0.93, 0.89, 0.94, 0.90], [1.4, 1.9, 1.6, 1.5, 1.5])
    slower = write_result(tmp_path / "c", [0.80, 0.79, 0.83, 0.81, 0.78], [2.5, 2.7, 2.4, 2.6, 2.5])
    assert [verdict.worse for verdict in compare([before], [noisy])] == [False, False]
    assert [verdict.worse for verdict in compare([before], [slower])] == [True, True]
    assert [verdict.worse for verdict in compare([slower], [before])] == [False, False]


def test_too_few_pairs_are_refused_and_not_called_slower(tmp_path: Path) -> None:
    whole = write_result(tmp_path / "a", [0.90, 0.92, 0.88, 0.95, 0.91], [1.5, 1.7, 1.4, 1.6, 1.5])
    quick = write_result(tmp_path / "b", [0.80, 0.79], [2.5, 2.7])
    for sides in ([whole], [quick]), ([quick], [whole]), ([whole], [whole, quick]):
        with pytest.raises(GuardError, match="2 pairs a figure; fewer than 5 cannot tell"):
            compare(*sides)
    done = CliRunner().invoke(app, ["compare", str(whole), str(quick)])
    assert done.exit_code == 2  # 1 would say that it is slower


def test_the_same_code_is_seldom_called_slower_though_runs_differ_as_a_whole(tmp_path: Path) -> None:
    """A hundred pairs of runs, 3 % apart from run to run and 3 % from pair to pair; chance alone gives some 2.5."""
    chance = random.Random(0)
    alarms = 0
    for number in range(100):
        sides = []
        for name in "ab":
            run = 0.9 * chance.gauss(1, 0.03)
            ratios = [run * chance.gauss(1, 0.03) for _ in range(5)]
            sides.append(write_result(tmp_path / f"{name}{number}", ratios, [1.0] * 5))
        alarms += compare(sides[:1], sides[1:])[0].worse
    assert alarms <= 5


def test_more_runs_of_each_side_tell_a_smaller_change(tmp_path: Path) -> None:
    before = [write_result(tmp_path / f"a{n}", [0.90 + n / 500] * 5, [1.0] * 5) for n in range(6)]
    after = [write_result(tmp_path / f"b{n}", [0.86 + n / 500] * 5, [1.0] * 5) for n in range(6)]
    assert not compare(before[:1], after[:1])[0].worse
    assert compare(before, after)[0].worse


def test_what_holds_no_result_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(GuardError, match="cannot be read"):
        compare([tmp_path], [tmp_path])
