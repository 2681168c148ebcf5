"""One shell for a page: what a command sets, changes and starts is there for the next one, as where a person types."""

import os
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class ShellTimeoutError(Exception):
    """A command did not end in time; the message holds what it had printed."""


class PageShell:
    """A bash that runs commands one after the other and tells what each printed, on both streams together."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._mark = f"end of command {secrets.token_hex(8)}"
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whatever the page left running was started in this session.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def run(self, command: str, timeout_s: float) -> tuple[str, int]:
        """What it printed, and its exit status. Raises ShellTimeoutError: it did not end in time."""
        assert self._process.stdin is not None
        script = f"{{\n{command}\n}} </dev/null\nprintf '\\n%s %s\\n' '{self._mark}' $?\n"
        self._process.stdin.write(script.encode())
        self._process.stdin.flush()
        output = self._read_to_mark(time.monotonic() + timeout_s)
        text, _, rest = output.rpartition(f"\n{self._mark} ")
        return text, int(rest)

    def _read_to_mark(self, deadline: float) -> str:
        assert self._process.stdout is not None
        descriptor, mark, read = self._process.stdout.fileno(), f"\n{self._mark} ".encode(), b""
        while mark not in read or not read.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(descriptor, 65_536) if ready else b""
            if not more:
                raise ShellTimeoutError(read.decode(errors="replace"))
            read += more
        return read.decode(errors="replace")
