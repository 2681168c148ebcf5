"""What stands for this server beside an alternative: its speed is not what is tested."""

from collections.abc import Iterator

import pytest

from benchmarks.alternatives.ours import Ours
from benchmarks.alternatives.processes import running
from tests.fake_alternative import answers, fake, launch


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    folder = tmp_path_factory.mktemp("ours")
    own = launch(folder)
    command = fake(folder, "cat", "1000000").command(own)
    with running(command, {}, folder, lambda: answers(own.url)) as process:
        yield Ours(own.url, process.pid, folder)
