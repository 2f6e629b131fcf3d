"""How the webhook routes come onto Letta's application, what is in their way, and what the doctor says of them."""

from __future__ import annotations

import json

import pytest
from route_standins import PATH, TOKEN, Stub, letta_app, letta_side
from starlette.testclient import TestClient

from letta_emitter.errors import SettingsError
from letta_emitter.routes import checks, mounting
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.mounting import MOUNTED, add_routes, mount
from letta_emitter.routes.settings import GatewayAccess, access


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
