"""The web server under the API: uvicorn on a socket that was bound before, ended by a call instead of a signal."""

import contextlib
import errno
import socket
from collections.abc import Iterator

import anyio
import uvicorn
from starlette.types import ASGIApp

from gateway.errors import AddressInUse

_BACKLOG = 2_048
_STOP_S = 5
_POLL_S = 0.01


class WebServer:
    """Serves an ASGI application on a listening socket."""

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http="httptools",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=_STOP_S,
            backlog=_BACKLOG,
        )
        self._server = _Server(config)
        self._listening = listening

    async def run(self) -> None:
        """Serve until stopped; then answer what has been asked and close."""
        await self._server.serve(sockets=[self._listening])

    async def started(self) -> None:
        """Until requests are answered."""
        while not self._server.started:
            await anyio.sleep(_POLL_S)

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._server.should_exit = True


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the command above decides when to end, and in which order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@contextlib.contextmanager
def listening_socket(host: str, port: int) -> Iterator[socket.socket]:
    """A bound, listening TCP socket. Raises ``AddressInUse`` where the address cannot be had."""
    bare = host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise AddressInUse(f"{host} is no address to listen on: {error.strerror or error}.") from error
    with listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError as error:
            what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise AddressInUse(f"{host}:{port} {what}.") from error
        yield listening
