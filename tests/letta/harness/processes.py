"""Children that are started, waited for and ended: one way for all of them."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(holds: Callable[[], object], what: str, *, timeout_s: float, every_s: float = 0.02) -> None:
    """Return once `holds()` is true; raise TimeoutError that says `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(every_s)


class Child:
    """One process in a session of its own, with its output in a file."""

    def __init__(
        self,
        command: Sequence[object],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=folder,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def wait_for(self, holds: Callable[[], object], what: str, *, timeout_s: float) -> None:
        """Wait for a condition, and say what the process wrote if it ends first or takes too long."""

        def alive_and_holds() -> bool:
            if self.process.poll() is not None:
                raise ChildEndedError(f"{what}: ended with {self.process.returncode}\n{self.tail()}")
            return bool(holds())

        try:
            wait_until(alive_and_holds, what, timeout_s=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.tail()}") from None

    def tail(self, chars: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-chars:]

    def kill(self) -> None:
        """kill -9 of the whole session."""
        self._end(signal.SIGKILL)

    def stop(self, *, number: signal.Signals = signal.SIGTERM, timeout_s: float = 15) -> None:
        """An orderly end; after `timeout_s` seconds a hard one, so that nothing outlives a test."""
        self._end(number, timeout_s=timeout_s)

    def _end(self, number: signal.Signals, *, timeout_s: float = 15) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            try:
                self.process.wait(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=10)
        # What the process left behind in its session goes too.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


class ChildEndedError(RuntimeError):
    """A child ended while something was still waited for."""
