"""Other processes: started, spoken to, read in /proc, and ended."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ANSWER_S_MAX = 120.0
_STOP_S_MAX = 15.0
_TAIL_LINES = 15
# Fields of /proc/PID/stat behind the name, which may hold blanks itself.
_PARENT, _USER, _SYSTEM = 1, 11, 12


class ProcessFailedError(Exception):
    """A process ended, or did not say what it was to say."""


def cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads, without its children, in seconds (10 ms steps)."""
    try:
        fields = _stat(pid)
    except FileNotFoundError as error:
        raise ProcessFailedError(f"process {pid} has ended") from error
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_PER_S


def memory_mib(pid: int, name: str) -> float:
    """A line of /proc/PID/status, such as ``VmRSS`` (now) and ``VmHWM`` (the most there was), in MiB."""
    told = Path(f"/proc/{pid}/status").read_text()
    return int(told.partition(f"{name}:")[2].split()[0]) / 1024


def cpu_of_tree_s(pid: int) -> float:
    """The same with all of its descendants that still run."""
    return cpu_s(pid) + sum(cpu_of_tree_s(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """The processes that it started and that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                if int(_stat(int(folder.name))[_PARENT]) == pid:
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def until_idle(pid: int, *, within_s: float = 5.0) -> None:
    """Wait until a process has stopped working: what it does after the last delivery is part of its cost."""
    deadline = time.monotonic() + within_s
    before = cpu_s(pid)
    while time.monotonic() < deadline:
        time.sleep(0.15)
        now = cpu_s(pid)
        if now - before <= 1 / _TICKS_PER_S:
            return
        before = now


def _stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()


class Spoken:
    """A process that one speaks to in lines."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self.pid = process.pid

    def tell(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ProcessFailedError(self._why("it has ended")) from None

    def hear(self, within_s: float = _ANSWER_S_MAX) -> dict[str, Any]:
        """The next line, a JSON object."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        line = self._process.stdout.readline() if ready else b""
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            raise ProcessFailedError(self._why(f"it said {line!r}")) from None
        return said

    def check(self) -> None:
        """Raise `ProcessFailedError` if it has ended."""
        if self._process.poll() is not None:
            raise ProcessFailedError(self._why(f"it has ended ({self._process.returncode})"))

    def _why(self, what: str) -> str:
        tail = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"{self._process.args!r}: {what}", *tail])


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    heard: bool = True,
    without: tuple[str, ...] = (),
) -> Iterator[Spoken]:
    """Run a program for as long as the context is open; what it says on stderr goes into the log.

    Args:
        without: How the names begin of what it is not to inherit from this process's environment.
        heard: Whether its stdout is read by `hear`; else it goes into the log too.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    with log.open("ab") as written:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if heard else written,
            stderr=written,
            env={**inherited, **(environment or {})},
            cwd=folder,
            # A group of its own, so that what it started ends with it.
            start_new_session=True,
            bufsize=0,
        )
    try:
        yield Spoken(process, log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for how, within_s in ((signal.SIGTERM, _STOP_S_MAX), (signal.SIGKILL, _STOP_S_MAX)):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(within_s)
            break
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
