"""Child processes: started, watched, measured from outside, and always killed in the end."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int, *, with_ended: bool = False) -> float:
    """CPU seconds that a process has spent so far, user and system, all threads; perhaps with its ended children's."""
    # The name in parentheses may hold blanks: fields are counted from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / _TICKS_A_SECOND


class ChildDiedError(Exception):
    """A child ended though it was still needed."""


class Child:
    """A running process; what it writes to standard error is in a file."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    def errors(self) -> str:
        """What it has written to standard error."""
        return self._errors.read_text(errors="replace")

    def check(self) -> None:
        """Raise ChildDiedError unless it runs."""
        if self._process.returncode is not None:
            raise self._died()

    def kill(self) -> None:
        """As if the machine had died."""
        self._process.kill()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    async def line(self) -> str:
        """The next line of its standard output; raises ChildDiedError when there is none."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            await self._process.wait()
            raise self._died()
        return line.decode().rstrip()

    def cpu_s(self) -> float:
        """CPU seconds spent so far, user and system, all threads."""
        self.check()
        return cpu_s(self._process.pid)

    def memory_mib(self) -> tuple[float, float]:
        """Resident memory in MiB: now, and the most so far."""
        self.check()
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", status, re.MULTILINE))
        return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024

    def _died(self) -> ChildDiedError:
        return ChildDiedError(f"{self.name} ended with code {self._process.returncode}:\n{self.errors()[-4000:]}")


@asynccontextmanager
async def child(name: str, command: Sequence[str], folder: Path) -> AsyncIterator[Child]:
    """Run a command from the repository, with `folder` as its home and nothing else of our environment."""
    errors = folder / f"{name.replace(' ', '-')}.stderr"
    with errors.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=sink,
        )
    try:
        yield Child(name, process, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
