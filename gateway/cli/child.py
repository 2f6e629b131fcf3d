"""A gateway as a child process: `python -m gateway dev`, on free ports, ended with its context."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from gateway.cli.endpoint import Connection
from gateway.errors import CommandError

START_S_MAX = 20.0
STOP_S_MAX = 15.0
_LOG_LINES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ChildGateway:
    """A running `dev` and where it is found."""

    connection: Connection
    redis_url: str
    stream: str


@contextlib.asynccontextmanager
async def child_gateway(folder: Path) -> AsyncIterator[ChildGateway]:
    """Run `dev` with a data directory below `folder`, untouched by the settings of the environment.

    Raises:
        CommandError: It does not come up; with the last lines of what it said.
    """
    data_dir, log = folder / "gateway", folder / "gateway.log"
    with log.open("wb") as written:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "dev"),
            *("--port", "0", "--data-dir", str(data_dir), "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=written,
            env={name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
            # Ctrl-C in a terminal reaches the parent alone, which ends the child in an orderly way.
            start_new_session=True,
        )
    try:
        said = await _first_line(process)
        if said is None:
            tail = log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
            raise CommandError("\n".join(["The gateway did not come up:", *tail]))
        connection = Connection(said["url"], said["token"], "the gateway's own announcement")
        yield ChildGateway(connection, said["redis_url"], said["stream"])
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _first_line(process: asyncio.subprocess.Process) -> dict[str, Any] | None:
    if process.stdout is None:
        return None
    line = b""
    with anyio.move_on_after(START_S_MAX):
        line = await process.stdout.readline()
    try:
        said: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with anyio.move_on_after(STOP_S_MAX):
        await process.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
