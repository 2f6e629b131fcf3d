"""Puts the gateway together: settings and adapters in, one task group out.

Reading order for a newcomer: ``run`` opens the stores, the Redis and the listening socket; ``_serve`` starts
the flows (``gateway.ingest``, ``gateway.deliver``) and the API over them, and ends them in the order that
loses nothing.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from gateway.adapters.embedded_redis import embedded_redis
from gateway.adapters.sql.log_end import check_end
from gateway.adapters.sql.migrate import upgrade
from gateway.adapters.sql.opening import open_database
from gateway.adapters.sql.rebuild import Rebuilt
from gateway.adapters.sql.rebuild import rebuild as derive_again
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.adapters.sql.verify import VerifyResult
from gateway.adapters.sql.verify import verify_log as verify_chain
from gateway.adapters.vault import KeyMissing, Keyring
from gateway.adapters.web_server import WebServer, listening_socket
from gateway.parts import DELIVERING, INGESTING, Parts, Place, Running, now_us, version
from gateway.settings import Settings
from otel.redaction import Redaction
from otel.secrets import secrets_of
from otel.setup import start_tracing
from otel.spans import Tracing

_LAST_SPANS_S = 2.0
"""How long the end of the process waits for an exporter; what is not sent by then is lost, and nothing else is."""


async def run(
    settings: Settings,
    *,
    role: str,
    host: str,
    port: int,
    data_dir: Path,
    on_ready: Callable[[Running], None],
    on_waiting: Callable[[str], None],
) -> None:
    """Serve until cancelled; then end in good order: finish what is in flight, journal it, close everything.

    ``on_waiting`` is told in a sentence what the start waits for, if it does. Raises ``GatewayError`` where it
    cannot start: database in use or newer, a log without its end, address taken, Redis not startable; and
    ``LeaseLost`` where another process has taken the log over.
    """
    place = Place(role, host, port, data_dir)
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(settings, data_dir, waiting=on_waiting))
        await upgrade(database)
        await check_end(database)
        listening = stack.enter_context(listening_socket(host, port))
        redis_url = await stack.enter_async_context(_redis(settings, data_dir))
        address, bound_port = listening.getsockname()[:2]
        url = f"http://{_in_url(host)}:{bound_port}"
        redaction = Redaction((*settings.secrets, *secrets_of(os.environ)))
        tracing = start_tracing(os.environ, version=version(), masked=redaction.text)
        gateway = Parts(
            settings,
            place,
            database,
            redis_url=redis_url,
            url=url,
            listens=(address, bound_port),
            tracing=tracing,
        )
        stack.push_async_callback(gateway.sender.aclose)
        stack.push_async_callback(gateway.redis_figures.aclose)
        stack.push_async_callback(_end_telling, tracing, gateway.metrics_push.aclose)
        await gateway.vault_keys.begin()
        await gateway.registering.begin()
        stopping = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(_serve, gateway, listening, stopping, on_ready)
            try:
                await anyio.sleep_forever()
            finally:
                stopping.set()


async def migrate(settings: Settings, data_dir: Path) -> tuple[str | None, str]:
    """Bring the database to this code's schema. Returns the revisions before and after."""
    async with open_database(settings, data_dir) as database:
        return await upgrade(database)


async def verify_log(
    settings: Settings,
    data_dir: Path,
    progress: Callable[[int], None] = lambda _checked: None,
    archive: Path | None = None,
) -> VerifyResult:
    """Verify the hash chain of the whole log; what was archived, by the files in this folder, if one is given."""
    async with open_database(settings, data_dir, must_exist=True) as database:
        await upgrade(database)
        return await verify_chain(database, progress, archive)


async def rebuild(
    settings: Settings, data_dir: Path, progress: Callable[[int], None] = lambda _position: None
) -> Rebuilt:
    """Derive all projections again from the log, the attempts and the vault."""
    async with open_database(settings, data_dir, must_exist=True) as database:
        if not settings.secret_keys_raw:
            raise KeyMissing(
                "What streams are like is sealed in the vault, and no key to it was given.",
                hint="Set GATEWAY_SECRET_KEYS as for the gateway itself.",
            )
        vault = SubscriptionVault(Keyring(settings.secret_keys_raw))
        await upgrade(database)
        await check_end(database)
        return await derive_again(database, vault, now_us=now_us(), progress=progress)


async def _serve(
    gateway: Parts,
    listening: socket.socket,
    stopping: anyio.Event,
    on_ready: Callable[[Running], None],
) -> None:
    """Run the flows and the API. Shielded, so that a cancelled gateway still ends in good order (S6b)."""
    role = gateway.place.role
    server = WebServer(gateway.api, listening)
    reading = _Cancellable(gateway.reader.run)
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as writing:
            writing.start_soon(gateway.batcher.run)
            writing.start_soon(gateway.tail.run)
            writing.start_soon(gateway.eraser.run)
            writing.start_soon(gateway.archivist.run)
            writing.start_soon(gateway.credentials.run)
            writing.start_soon(gateway.idempotency.run)
            writing.start_soon(gateway.metrics_push.run)
            async with anyio.create_task_group() as flows:
                if role in DELIVERING:
                    flows.start_soon(gateway.dispatcher.run)
                if role in INGESTING:
                    flows.start_soon(reading.run)
                flows.start_soon(server.run)
                flows.start_soon(_announce, server, gateway, on_ready)
                await stopping.wait()
                # Nothing new comes in; what is in flight is delivered and journaled; then what came in is
                # written.
                reading.cancel()
                gateway.tail.stop()
                server.stop()
                gateway.dispatcher.stop()
            writing.cancel_scope.cancel()


async def _end_telling(
    tracing: Tracing | None, last_figures: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Send the last figures and spans, side by side: where nothing listens, the end waits once and not twice."""
    with anyio.CancelScope(shield=True):
        async with anyio.create_task_group() as group:
            group.start_soon(last_figures)
            if tracing is not None:
                await anyio.to_thread.run_sync(tracing.close, _LAST_SPANS_S)


async def _announce(server: WebServer, gateway: Parts, on_ready: Callable[[Running], None]) -> None:
    await server.started()
    on_ready(gateway.running)


class _Cancellable:
    """A task that can be ended on its own."""

    def __init__(self, work: Callable[[], Awaitable[None]]) -> None:
        self._work = work
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Do the work until it is done or cancelled."""
        with self._scope:
            await self._work()

    def cancel(self) -> None:
        """End it at its next opportunity."""
        self._scope.cancel()


@contextlib.asynccontextmanager
async def _redis(settings: Settings, data_dir: Path) -> AsyncIterator[str]:
    if settings.redis_url is not None:
        yield settings.redis_url.get_secret_value()
        return
    async with embedded_redis(data_dir) as embedded:
        yield embedded.url


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
