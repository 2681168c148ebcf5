"""The soak in short, as `make soak` runs it: six swaps, by two of which a tokenizer of 250,000 pieces is read."""

import json
import re
import signal
import subprocess
import time
from pathlib import Path

from launcher.promises.slo import SLO_FILE
from tests.integration.programs import start_in, started_by
from tests.waiting import PATIENCE, wait_until


def start(folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    return start_in(folder, "benchmarks", "soak", "--results", str(folder / "results"), *options)


def test_memory_does_not_creep_and_no_answer_is_wrong_while_versions_are_swapped(tmp_path: Path) -> None:
    log = tmp_path / "log"
    promises = tmp_path / "slo.yaml"
    promises.write_text(SLO_FILE.read_text().replace("at_most: 30", "at_most: 600"))  # tests may run on a busy machine
    options = ("--swaps", "6", "--texts", "500", "--kills", "1", "--promises", str(promises))
    process = start(tmp_path, "--minutes", "0.2", *options)
    status = process.wait(timeout=90 * PATIENCE)
    (result,) = (tmp_path / "results").iterdir()
    found = json.loads((result / "results.json").read_text())["soak"]
    assert (status, found["failures"]) == (0, []), log.read_text()
    assert (found["swaps"], found["wrong"], found["failed"]) == (6, 0, 0)
    assert found["texts"] >= 500
    settled = [sample for sample in found["samples"] if sample["settled"]]
    assert [sample["swap"] for sample in settled] == [1, 2, 3, 4, 5, 6]
    after_second = settled[1]["resident_mb"]
    assert after_second["gateway"] > 250  # the large tokenizer is there, and is what counts
    assert min(after_second.values()) > 10
    assert max(sample["resident_mb"]["gateway"] for sample in settled[1:]) <= 1.1 * after_second["gateway"]
    assert settled[3]["resident_mb"]["gateway"] < 0.7 * after_second["gateway"]  # and goes when its version goes
    assert re.search(r"\| gateway \| \d+ MB \|.* yes \|", (result / "report.md").read_text())
    assert (len(found["swap_s"]), len(found["recovery_s"])) == (6, 2)
    for promise in ("availability, 0 where 0.001 is promised", "swap, ", "recovery, "):
        assert f"promise kept: {promise}" in log.read_text()
    assert "latency" not in log.read_text()  # of an answer while every core is taken, nothing is promised
    assert (result / "memory.png").stat().st_size > 1_000


def test_ctrl_c_ends_a_soak_with_what_it_has_and_leaves_no_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(tmp_path, "--minutes", "10")
    try:
        wait_until(lambda: len(started_by(tmp_path)) >= 4, 60, f"the service runs, see {log}")
        time.sleep(1)
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=60)
    assert status == 130
    assert "Interrupted" in log.read_text()
    assert "texts asked" in log.read_text()
    assert started_by(tmp_path) == []
