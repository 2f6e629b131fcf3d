"""A receiver as a process: started on a free port, read line by line, ended."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WITHIN_S = 60.0
_SEEN = "SEEN "


class ReceiverProcess:
    """One receiver; `seen` is what it has told so far, request by request."""

    def __init__(self, command: Callable[[int], list[str]], log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/"
        self.seen: list[dict[str, Any]] = []
        self._command = command
        self._log = log

    def start(self) -> "ReceiverProcess":
        """Start it, and return once it takes connections."""
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self._command(self.port),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                # What is set on this machine for tracing or debugging belongs to other programs.
                env={"PATH": os.environ["PATH"], "NODE_ENV": "production", "PYTHONUNBUFFERED": "1"},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = time.monotonic() + WITHIN_S
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()[-4000:]
            assert time.monotonic() < deadline, "it does not listen: " + self._log.read_text()[-4000:]
            time.sleep(0.05)
        return self

    def wait(self, count: int, *, within_s: float = WITHIN_S) -> list[dict[str, Any]]:
        """What it has told, once it is this much."""
        deadline = time.monotonic() + within_s
        while len(self.seen) < count:
            assert time.monotonic() < deadline, (
                f"{len(self.seen)} of {count} told: {self._log.read_text()[-2000:]}"
            )
            time.sleep(0.01)
        return list(self.seen)

    def end(self) -> None:
        """End it; one that does not heed SIGTERM at once is killed."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=30)
        self._reader.join(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(_SEEN):
                self.seen.append(json.loads(line.removeprefix(_SEEN)))

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
