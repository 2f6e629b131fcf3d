"""The webhook routes on a stand-in for Letta's application, before a gateway that answers anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from route_standins import JSON, PATH, TOKEN, Making, Stub, kind, making

from letta_emitter.routes import client
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.exchange import ANSWER_BYTES_MAX, BODY_BYTES_MAX, Call
from letta_emitter.routes.problems import BUSY, RouteProblem
from letta_emitter.routes.settings import GatewayAccess


@pytest.fixture
def make(stub: Stub) -> Iterator[Making]:
    with making(stub) as made:
        yield made


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
