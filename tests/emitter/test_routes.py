"""The webhook routes on a stand-in for Letta's application, before a gateway that answers anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Header
from fastapi import Path as PathParameter
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from letta_emitter.errors import SettingsError
from letta_emitter.routes import checks, client, mounting
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.exchange import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Call
from letta_emitter.routes.mounting import MOUNTED, add_routes, mount
from letta_emitter.routes.problems import BUSY, RouteProblem
from letta_emitter.routes.router import LettaSide
from letta_emitter.routes.settings import GatewayAccess, access

TOKEN = "lgw_the-token-of-this-server"
PATH = "/v1/agents/agent-1/webhook"
JSON = {"Content-Type": "application/json"}
PROBLEM = {"Content-Type": "application/problem+json"}


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


@pytest.fixture
def stub() -> Iterator[Stub]:
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


Making = Callable[..., TestClient]


@pytest.fixture
def make(stub: Stub) -> Iterator[Making]:
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


def test_a_request_goes_on_with_the_servers_token_and_nothing_of_the_callers_but_what_is_about_its_body(
    make: Making, stub: Stub
):
    stub.says(
        201, {"id": "sub_1"}, ETag='"1"', Location="http://inside/", **{"Set-Cookie": "a=b", "X-Inside": "1"}
    )
    sent = {
        "Authorization": "Bearer letta-password",
        "Cookie": "session=1",
        "X-Bare-Password": "p",
        "X-Forwarded-For": "1.2.3.4",
        "If-Match": '"0"',
        "traceparent": "00-1-2-01",
        "user_id": "org-1",
    }
    found = make().put(PATH + "?organization=org-9&x=1", json={"url": "https://a.example"}, headers=sent)
    assert (found.status_code, found.json(), found.headers["etag"]) == (201, {"id": "sub_1"}, '"1"')
    assert not {"location", "set-cookie", "x-inside"} & set(found.headers)
    [asked] = stub.asked
    assert (asked.method, asked.target) == ("PUT", f"{PATH}?organization=org-1")
    assert json.loads(asked.body) == {"url": "https://a.example"}
    assert asked.headers.pop("host") in stub.url
    assert asked.headers.pop("connection") == "keep-alive"
    assert asked.headers == {
        "authorization": f"Bearer {TOKEN}",
        "accept": "application/json, application/problem+json",
        "accept-encoding": "identity",
        "user-agent": "letta-emitter",
        "content-type": "application/json",
        "content-length": str(len(asked.body)),
        "if-match": '"0"',
    }


@pytest.mark.parametrize(
    ("method", "below", "target"),
    [
        ("GET", "", "?organization=org-1"),
        ("DELETE", "", "?organization=org-1"),
        ("POST", "/test", "/test?organization=org-1"),
        ("POST", "/deliveries/dlv_a-1/retry", "/deliveries/dlv_a-1/retry?organization=org-1"),
        (
            "GET",
            "/deliveries?state=exhausted&limit=7&cursor=a%26b&since=2026-01-01T00:00:00%2B00:00&organization=x&y=1",
            "/deliveries?state=exhausted&since=2026-01-01T00%3A00%3A00%2B00%3A00&limit=7&cursor=a%26b&organization=org-1",
        ),
        (
            "GET",
            (
                "/deliveries?type=agent.step.completed&trace_id=t%261&state=refused&run_id=run-1&state=expired"
                "&batch=bat_1&type=com.letta.x&status_code=503&until=2026-01-01T00:00:00Z&agent_id=agent-2&subscription=s&State=z"
                "&organization=org-2&organization=org-3"
            ),
            (
                "/deliveries?state=refused&state=expired&status_code=503&type=agent.step.completed&type=com.letta.x"
                "&run_id=run-1&trace_id=t%261&batch=bat_1&until=2026-01-01T00%3A00%3A00Z&organization=org-1"
            ),
        ),
    ],
)
def test_each_route_is_the_one_of_the_gateway(make: Making, stub: Stub, method: str, below: str, target: str):
    app = make()
    for prefix in ("/v1", "/latest"):
        assert app.request(method, f"{prefix}/agents/agent-1/webhook{below}").status_code == 200
        assert (stub.asked[-1].method, stub.asked[-1].target) == (method, PATH + target)


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"state={number}" for number in range(51)),
        "&".join(f"type={number}" for number in range(51)),
        *(
            f"{name}={'x' * 1025}"
            for name in ("state", "type", "run_id", "trace_id", "batch", "since", "until", "cursor")
        ),
        "status_code=99",
        "limit=501",
    ],
)
def test_what_is_beyond_every_bound_is_not_asked_of_the_gateway(make: Making, stub: Stub, query: str):
    assert make().get(f"{PATH}/deliveries?{query}").status_code == 422
    assert stub.asked == []


def test_the_list_takes_the_same_parameters_as_the_gateways_own_for_an_agent(make: Making):
    gateway = json.loads((Path(__file__).parents[2] / "contracts" / "openapi.json").read_text())

    def taken(document: dict[str, Any]) -> dict[str, bool]:
        """Their names, and whether they may be repeated."""
        of = document["paths"]["/v1/agents/{agent_id}/webhook/deliveries"]["get"]["parameters"]
        found = {one["name"]: "array" in json.dumps(one["schema"]) for one in of if one["in"] == "query"}
        return {name: repeated for name, repeated in found.items() if name != "organization"}

    assert taken(make().get("/openapi.json").json()) == taken(gateway)


def test_an_empty_answer_stays_empty(make: Making, stub: Stub):
    stub.status, stub.headers = 204, {}
    found = make().delete(PATH)
    assert (found.status_code, found.content) == (204, b"")


def test_only_agents_that_letta_shows_the_caller(make: Making, stub: Stub):
    app = make()
    for path, user in ((PATH, "org-2"), ("/v1/agents/agent-9/webhook", "org-1")):
        found = app.get(path, headers={"user_id": user})
        assert found.status_code == 404
        assert "not found" in found.json()["detail"]
    assert app.get("/v1/agents/agent-3/webhook", headers={"user_id": "*"}).status_code == 404
    assert app.get("/v1/agents/x/webhook").status_code == 422
    assert stub.asked == []
    assert app.get("/v1/agents/agent-2/webhook", headers={"user_id": "org 2/&?"}).status_code == 200
    assert stub.asked[0].target.endswith("?organization=org+2%2F%26%3F")


@pytest.mark.parametrize("named", ["..", "a.b", "a%2Fb", "a%3Fb", "x" * 65])
def test_a_delivery_that_leads_elsewhere_is_not_asked_for(make: Making, stub: Stub, named: str):
    assert make().post(f"{PATH}/deliveries/{named}/retry").status_code in {404, 422}
    assert stub.asked == []


@pytest.mark.parametrize(
    ("status", "slug"),
    [(404, "not-found"), (412, "precondition-failed"), (422, "sink-refused"), (403, "sink-refused")],
)
def test_what_the_gateway_says_of_the_request_is_passed_on(make: Making, stub: Stub, status: int, slug: str):
    stub.says(status, {"type": f"urn:letta-gateway:problem:{slug}"})
    found = make().get(PATH)
    assert (found.status_code, kind(found)) == (status, slug)


@pytest.mark.parametrize(
    ("method", "status", "slug"),
    [("GET", 401, "unauthenticated"), ("DELETE", 403, "forbidden"), ("PUT", 404, "not-found")],
)
def test_what_it_says_of_the_token_is_not_said_of_the_caller(
    make: Making, stub: Stub, method: str, status: int, slug: str
):
    told: list[tuple[str, str]] = []
    stub.says(status, {"type": f"urn:letta-gateway:problem:{slug}"}, **{"WWW-Authenticate": "Bearer"})
    found = make(report=lambda kind, text: told.append((kind, text))).request(method, PATH)
    assert (found.status_code, kind(found)) == (502, "gateway-token-refused")
    assert "www-authenticate" not in found.headers
    assert TOKEN not in found.text + str(told)
    assert [kind for kind, _ in told] == ["gateway-token-refused"]


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (302, {"Location": "http://127.0.0.1:1/", **JSON}, b"{}"),
        (200, {"Content-Type": "text/html"}, b"<html>"),
        (404, {"Content-Type": "text/plain"}, b"no such page"),
        (200, {**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b"),
        (200, JSON, b"x" * (ANSWER_BYTES_MAX + 1)),
    ],
)
def test_what_is_no_answer_of_a_gateway_is_not_passed_on(
    make: Making, stub: Stub, status: int, headers: dict[str, str], body: bytes
):
    stub.status, stub.headers, stub.body = status, headers, body
    found = make().get(PATH)
    assert (found.status_code, kind(found)) == (502, "gateway-unusable")
    assert len(stub.asked) == 1


def test_a_gateway_that_is_away_or_slow_is_said_in_time(make: Making, stub: Stub):
    away = make(url="http://127.0.0.1:1").get(PATH)
    assert (away.status_code, kind(away)) == (502, "gateway-unreachable")
    stub.hold.clear()
    slow = make(timeout_s=0.2).get(PATH)
    assert (slow.status_code, kind(slow)) == (504, "gateway-timeout")
    assert "127.0.0.1" not in away.text + slow.text


def test_what_is_too_large_is_not_sent(make: Making, stub: Stub):
    app = make()
    assert app.put(PATH, content=b" " * BODY_BYTES_MAX).status_code == 200
    found = app.put(PATH, content=b" " * (BODY_BYTES_MAX + 1))
    assert (found.status_code, kind(found)) == (413, "too-large")
    assert len(stub.asked) == 1


def test_too_many_at_once_are_refused_at_once(stub: Stub):
    async def many() -> list[int]:
        gateway = Gateway(GatewayAccess(stub.url, TOKEN), timeout_s=30)
        stub.hold.clear()
        sent = [asyncio.create_task(gateway.send(Call("GET", PATH))) for _ in range(client.WAITING_MAX)]
        async with asyncio.timeout(10):  # as many as have a connection; the others wait for one
            while len(stub.asked) < client.CONNECTIONS_MAX:
                await asyncio.sleep(0.01)
        for _ in range(3):
            with pytest.raises(RouteProblem) as refused:
                await gateway.send(Call("GET", PATH))
            assert refused.value.kind is BUSY
        assert not any(task.done() for task in sent)
        stub.hold.set()
        taken = await asyncio.gather(*sent)
        after = await gateway.send(Call("GET", PATH))
        await gateway.close()
        return [answer.status for answer in (*taken, after)]

    assert asyncio.run(many()) == [200] * (client.WAITING_MAX + 1)


def test_a_busy_gateway_says_when_to_come_back(make: Making, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(client, "WAITING_MAX", 0)
    found = make().get(PATH)
    assert (found.status_code, kind(found), found.headers["retry-after"]) == (503, "gateway-busy", "1")


@pytest.mark.parametrize("made_before", [True, False])
def test_they_are_in_the_document_beside_what_was_there(*, stub: Stub, made_before: bool):
    app = letta_app()
    if made_before:
        app.openapi_schema = {**app.openapi(), "x-lettas": 1}
    add_routes(app, letta_side(), Gateway(GatewayAccess(stub.url, TOKEN)))
    document = TestClient(app).get("/openapi.json").json()
    # A FastAPI that is newer than Letta's makes the document anew by itself, once there are other routes.
    kept = made_before and not hasattr(app, "_openapi_routes_version")
    assert document.get("x-lettas") == (1 if kept else None)
    assert set(document["paths"]) == {
        "/v1/agents/{agent_id}",
        PATH.replace("agent-1", "{agent_id}"),
        *(f"/v1/agents/{{agent_id}}/webhook{end}" for end in ("/test", "/deliveries")),
        "/v1/agents/{agent_id}/webhook/deliveries/{delivery_id}/retry",
    }
    put = document["paths"]["/v1/agents/{agent_id}/webhook"]["put"]
    assert put["operationId"] == "put_agent_webhook"
    assert {"200", "201", "404", "422", "502", "503", "504"} == set(put["responses"])
    assert TOKEN not in json.dumps(document)


def test_all_of_them_are_mounted_or_none(stub: Stub, monkeypatch: pytest.MonkeyPatch):
    app = letta_app()
    app.openapi_schema = before = app.openapi()
    routes = list(app.router.routes)
    monkeypatch.setattr(mounting, "_with_routes", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        add_routes(app, letta_side(), Gateway(GatewayAccess(stub.url, TOKEN)))
    assert (app.router.routes, app.openapi_schema) == (routes, before)


def test_a_fork_that_has_such_routes_keeps_its_own(stub: Stub):
    app = letta_app()
    app.get("/v1/agents/{agent_id}/webhook")(lambda agent_id: {"theirs": agent_id})
    with pytest.raises(SettingsError, match="of its own"):
        add_routes(app, letta_side(), Gateway(GatewayAccess(stub.url, TOKEN)))


BOTH = {"LETTA_EMITTER_GATEWAY_URL": "http://127.0.0.1:1", "LETTA_EMITTER_GATEWAY_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, None),
        ({"LETTA_EMITTER_GATEWAY_URL": "http://127.0.0.1:1"}, "LETTA_EMITTER_GATEWAY_TOKEN is not"),
        ({"LETTA_EMITTER_GATEWAY_TOKEN": TOKEN}, "LETTA_EMITTER_GATEWAY_URL is not"),
        ({**BOTH, "LETTA_EMITTER_GATEWAY_TOKEN": f"{TOKEN} x"}, "printable ASCII"),
        *(
            ({**BOTH, "LETTA_EMITTER_GATEWAY_URL": url}, "http:// or https://")
            for url in (
                "ftp://h",
                "h:80",
                "http://",
                "http://u:secret@h",
                "http://h/?q=secret",
                "http://h:99999",
                "http://h h",
            )
        ),
        (BOTH, "this Letta has not got"),
    ],
)
def test_what_is_in_the_way_is_said_once_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], said: str | None
):
    for name in BOTH:
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    told: list[str] = []
    app = letta_app()
    found = mount(app, lambda _, text: told.append(text))
    if said is None:
        assert (found, told) == (None, [])
        assert [one.name for one in checks.look([])] == ["routes"]
        assert checks.look([])[0].ok
        return
    [line] = told
    assert said in line
    assert "secret" not in line
    assert TOKEN not in line
    assert not checks.look([])[0].ok
    assert said in checks.look([])[0].detail


def test_where_all_is_there_they_are_mounted(monkeypatch: pytest.MonkeyPatch, stub: Stub):
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_URL", f"{stub.url}/")
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_TOKEN", f"{TOKEN}\n")
    monkeypatch.setattr(mounting, "find_letta", letta_side)
    app = letta_app()
    assert mount(app, lambda _, text: pytest.fail(text)) == MOUNTED
    with TestClient(app) as asking:
        assert asking.get(PATH).status_code == 200
    assert stub.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in repr(access())


@pytest.mark.parametrize(
    ("status", "slug", "ok", "said"),
    [
        (404, "not-found", True, "takes the token"),
        (401, "unauthenticated", False, "does not know it"),
        (403, "forbidden", False, "only read"),
        (500, "internal", False, "500"),
        (200, "", False, "is it the gateway?"),
    ],
)
def test_the_doctor_asks_the_gateway(
    *,
    monkeypatch: pytest.MonkeyPatch,
    stub: Stub,
    status: int,
    slug: str,
    ok: bool,
    said: str,
):
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_URL", stub.url)
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_TOKEN", TOKEN)
    monkeypatch.setattr(checks, "find_letta", letta_side)
    stub.says(status, {"type": f"urn:letta-gateway:problem:{slug}"})
    running = [
        {"alive": alive, "stats": {"pid": pid, "routes": routes}}
        for pid, alive, routes in (
            (1, True, MOUNTED),
            (2, True, None),
            (3, False, "lost"),
            (4, True, MOUNTED),
        )
    ]
    routes, gateway = checks.look(running)  # type: ignore[arg-type]
    assert routes == ("routes", True, "/v1/agents/{agent_id}/webhook is mounted by process 1, 4")
    assert gateway.ok is ok
    assert said in gateway.detail
    running[0]["stats"] = {"pid": 1, "routes": "it has one of its own"}
    assert checks.look(running)[0] == ("routes", False, "process 1: it has one of its own")  # type: ignore[arg-type]
