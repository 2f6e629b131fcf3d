"""The files, socket and port of an embedded Redis, and the options it is started with."""

import contextlib
import json
import os
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

#: `sockaddr_un.sun_path` holds 108 bytes on Linux and 104 on macOS, the closing zero included.
SOCKET_PATH_BYTES_MAX = 103
#: What `mkdtemp` and the name of the socket add to the folder for temporary files.
_TEMPORARY_NAME_BYTES = 40
MEMORY_BYTES_MAX = 512 * 1024 * 1024
LOG_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """The files of one embedded Redis."""

    folder: Path
    socket: Path

    @property
    def owner(self) -> Path:
        """Held by the gateway that runs the server."""
        return self.folder / "owner"

    @property
    def lock(self) -> Path:
        """Held by the server for as long as it lives."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "redis.log"

    @property
    def pid(self) -> Path:
        """Written by the server itself."""
        return self.folder / "redis.pid"


def prepare(data_dir: Path) -> tuple[Place, int | None]:
    """Make the folder; returns its files and the port of the last run, if any. Raises OSError."""
    folder = (data_dir / "redis").resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        kept = json.loads((folder / "redis.json").read_text())
        port, socket_folder = int(kept["port"]), Path(kept["socket"]).parent
    except (OSError, ValueError, KeyError, TypeError):
        port, socket_folder = None, None
    return Place(folder, _socket_path(folder, socket_folder)), port


def _socket_path(folder: Path, before: Path | None) -> Path:
    """In the folder itself where that path is short enough, else in a private temporary one."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES_MAX:
        return path
    if before is not None and _is_private(before):
        return before / "redis.sock"
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) > SOCKET_PATH_BYTES_MAX - _TEMPORARY_NAME_BYTES:
        base = "/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
    return Path(tempfile.mkdtemp(prefix="letta-gateway-", dir=base)) / "redis.sock"


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def remember(place: Place, port: int) -> None:
    """Keep the port and the socket for the next run."""
    aside = place.folder / "redis.json.new"
    aside.write_text(json.dumps({"port": port, "socket": str(place.socket)}))
    aside.replace(place.folder / "redis.json")


def tidy(place: Place) -> None:
    """Remove what an ended server leaves beside its data."""
    place.socket.unlink(missing_ok=True)
    place.pid.unlink(missing_ok=True)
    if place.socket.parent != place.folder:
        with contextlib.suppress(OSError):
            place.socket.parent.rmdir()


def open_log(path: Path) -> int:
    """Open the log for appending, emptied first where it is over its bound."""
    full = path.exists() and path.stat().st_size > LOG_BYTES_MAX
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (os.O_TRUNC if full else 0), 0o600)


def tail(path: Path, start: int) -> str:
    """The last warnings from byte `start` on, without Valkey's prefix of process, role, date and level."""
    text = path.read_bytes()[start:].decode(errors="replace")
    lines = [
        line.split(" # ", 1)[-1].strip() for line in text.splitlines() if " # " in line or "FATAL" in line
    ]
    return "; ".join(lines[-3:]).rstrip(".")


def read_pid(path: Path) -> int | None:
    """The process id in a file, or None where there is none (yet)."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def command(binary: Path, place: Place, port: int) -> list[str]:
    """The command line of the server."""
    options = {
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "port": str(port),
        "unixsocket": str(place.socket),
        "unixsocketperm": "600",
        "dir": str(place.folder),
        "pidfile": str(place.pid),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        # Full means that writers are told so and keep their events; nothing is ever evicted.
        "maxmemory": str(MEMORY_BYTES_MAX),
        "maxmemory-policy": "noeviction",
    }
    return [str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))]


def free_port() -> int:
    """A loopback port that nobody holds at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether a server could listen on that loopback port at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as Valkey does: TIME_WAIT is no obstacle
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
