"""What stands on either side of the webhook routes: an application like Letta's, a gateway that answers anything."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fastapi import FastAPI, Header
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from letta_emitter.routes.client import Gateway
from letta_emitter.routes.mounting import add_routes
from letta_emitter.routes.router import LettaSide
from letta_emitter.routes.settings import GatewayAccess

TOKEN = "lgw_the-token-of-this-server"
PATH = "/v1/agents/agent-1/webhook"
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}
Making = Callable[..., TestClient]


@dataclass
class Asked:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stub:
    """What stands at the gateway's address: answers what it is told to, and keeps what it was asked."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    body: bytes = b"{}"
    asked: list[Asked] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    def says(self, status: int, body: object, **headers: str) -> None:
        self.status, self.body = status, json.dumps(body).encode()
        self.headers = {**(JSON if status < 400 else PROBLEM), **headers}


@contextlib.contextmanager
def gateway_stub() -> Iterator[Stub]:
    """One that listens."""
    found = Stub()
    found.hold.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing."""

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.asked.append(Asked(self.command, self.path, headers, body))
            found.hold.wait(30)
            with contextlib.suppress(OSError):
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                if found.status != 204:
                    self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                if found.status != 204:
                    self.wfile.write(found.body)

        do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the standard library's names

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    found.hold.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


class NotFound(Exception):
    """As Letta's: its application answers it."""


@dataclass
class Actor:
    organization_id: str


@dataclass
class Headers:
    actor_id: str | None


class Managers:
    """Users `org-1` and so on; each sees its organization's agents alone."""

    AGENTS: dict[str, str] = {"agent-1": "org-1", "agent-2": "org 2/&?", "agent-3": "*"}  # noqa: RUF012

    @property
    def user_manager(self) -> Managers:
        return self

    agent_manager = user_manager

    async def get_actor_or_default_async(self, actor_id: str | None) -> Actor:
        return Actor(actor_id or "org-1")

    async def validate_agent_exists_async(self, agent_id: str, actor: Actor) -> None:
        if self.AGENTS.get(agent_id) != actor.organization_id:
            raise NotFound(agent_id)


def letta_side() -> LettaSide:
    def headers(user_id: str | None = Header(None, alias="user_id")) -> Headers:
        return Headers(user_id)

    return LettaSide(lambda: PathParameter(pattern="^agent-", description="an agent"), Managers, headers)


def letta_app() -> FastAPI:
    app = FastAPI(title="Letta")

    @app.get("/v1/agents/{agent_id}")
    def read(agent_id: str) -> dict[str, str]:
        return {"id": agent_id}

    @app.exception_handler(NotFound)
    def missing(_request: object, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"Agent {error} not found"}, 404)

    return app


@contextlib.contextmanager
def making(stub: Stub) -> Iterator[Making]:
    """Makes applications with the routes on them, before this gateway."""
    with contextlib.ExitStack() as closing:

        def made(url: str | None = None, **more: Any) -> TestClient:
            app = letta_app()
            add_routes(app, letta_side(), Gateway(GatewayAccess(url or stub.url, TOKEN), **more))
            # One loop for all requests, as a server has.
            return closing.enter_context(TestClient(app, raise_server_exceptions=True))

        yield made


def kind(answer: Any) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix("urn:letta-gateway:problem:")
