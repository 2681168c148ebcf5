"""A gateway that reads one large tokenizer after the other takes no more memory than for two of them."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.measure.soak.versions import Kind, write_version
from gateway import memory
from tests.integration.stack import ROOT

# Reads the version seven times, on another thread each time, as a server's pool may, and drops the one before.
READ = """
import json, sys, threading, time
from pathlib import Path

from gateway.tokenization import Tokenizers
from repository.inference import load_tokenizer


def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def read():
    global tokenizers
    tokenizers = Tokenizers(load_tokenizer(Path(sys.argv[1]), 64))
    if "both" in sys.argv:
        tokenizers.cutting("left")


def wait_for_the_thread():
    stop.wait()


stop = threading.Event()
taken = [resident_mb()]
tokenizers = None
for _ in range(7):
    reader = threading.Thread(target=read)
    reader.start()
    reader.join()
    threading.Thread(target=wait_for_the_thread).start()  # takes the arena that the reader leaves
    time.sleep(0.8)
    taken.append(resident_mb())
stop.set()
print(json.dumps(taken))
"""
LARGE = Kind("Unigram", ("a", "b"), 60_000, 64)


def taken_mb(version: Path, *options: str) -> list[float]:
    command = [sys.executable, "-c", READ, str(version), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [float(each) for each in json.loads(done.stdout)]


def test_reading_tokenizers_again_and_again_takes_no_more_memory_than_the_second_time(tmp_path: Path) -> None:
    version = write_version(tmp_path / "version", LARGE, seed=0)
    before, first, second, *later = taken_mb(version)
    assert first - before > 40  # it is large enough to be seen
    assert max(later) <= 1.1 * second
    # The one that cuts at the other end shares the vocabulary.
    assert max(taken_mb(version, "both")) <= 1.1 * second


def test_where_the_c_library_has_no_such_function_nothing_happens() -> None:
    assert memory._glibc("no_function_of_this_name", [])(0) == 0
