"""An agent's webhook routes, as they stand on Letta's API, before a real gateway and with each kind of token."""

from dataclasses import dataclass
from typing import Any

import pytest
from fastapi import FastAPI, Path
from fastapi.testclient import TestClient

from letta_emitter.routes import checks
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.mounting import add_routes
from letta_emitter.routes.router import LettaSide
from letta_emitter.routes.settings import GatewayAccess


@dataclass
class Letta:
    """Stands for Letta's server, managers, headers and acting user at once; who asks is of this organization."""

    organization_id: str
    actor_id: None = None

    @property
    def user_manager(self) -> "Letta":
        return self

    agent_manager = user_manager

    async def get_actor_or_default_async(self, actor_id: None) -> "Letta":
        assert actor_id is None
        return self

    async def validate_agent_exists_async(self, **_: object) -> None:
        """Every agent is there."""


@pytest.fixture
def token(shared):
    """Makes a token; it goes with the test."""
    made: list[str] = []

    def make(**members: Any) -> str:
        answer = shared.client.post("/v1/tokens", json=members)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
        return str(answer.json()["token"])

    yield make
    for one in made:
        shared.client.delete(f"/v1/tokens/{one}")


@pytest.fixture
def letta(shared):
    def make(organization: str, token: str) -> TestClient:
        app, server = FastAPI(), Letta(organization)
        side = LettaSide(Path, lambda: server, lambda: server)
        add_routes(app, side, Gateway(GatewayAccess(shared.said["url"], token)))
        return TestClient(app)

    return make


def kind(answer) -> str:
    return str(answer.json()["type"]).removeprefix("urn:letta-gateway:problem:")


def test_an_administrators_token_serves_agents_of_any_organization(shared, sink, letta, token):
    given = token(admin=True, name="letta")
    path = "/v1/agents/agent-routes/webhook"
    made = {}
    for organization in ("org-a", "org-b"):
        with letta(organization, given) as here:
            found = here.put(path, json={"url": sink.url})
            assert found.status_code == 201, found.text
            made[organization] = found.json()
            shared.made.append(found.json()["id"])
            tag = here.get(path).headers["etag"]
            assert here.delete(path, headers={"If-Match": '"not-it"'}).status_code == 412
            assert here.put(path, json={"url": sink.url}, headers={"If-Match": tag}).status_code == 200
            wrong = here.put(path, json={"url": "no-url", "events": ["nothing"]})
            assert (wrong.status_code, kind(wrong)) == (422, "invalid-request")
            assert here.get(f"{path}/deliveries?cursor=nonsense").status_code == 400
            trace_id = "0" * 32
            filters = "state=undelivered&state=delivered&type=agent.step.completed&type=x&run_id=r"
            for query in (
                "",
                f"?{filters}&trace_id={trace_id}&since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z",
            ):
                assert here.get(f"{path}/deliveries{query}").json() == {"items": [], "next": None}
            wrong = here.get(f"{path}/deliveries?state=delivered&state=nonsense")
            assert (wrong.status_code, kind(wrong)) == (422, "invalid-request")
    assert [one["organization"] for one in made.values()] == ["org-a", "org-b"]
    with letta("org-a", given) as here:
        assert here.delete(path).status_code == 204
    with letta("org-b", given) as here:
        assert here.get(path).json()["id"] == made["org-b"]["id"]


def test_an_organizations_token_serves_its_own_and_reaches_no_private_network(letta, token, sink):
    given = token(organization="org-a", name="letta")
    path = "/v1/agents/agent-own/webhook"
    with letta("org-a", given) as here:
        assert kind(here.get(path)) == "not-found"
        private = here.put(path, json={"url": sink.url})
        assert (private.status_code, kind(private)) == (422, "sink-refused")
    with letta("org-b", given) as here:
        found = here.put(path, json={"url": "https://example.com/"})
        assert (found.status_code, kind(found)) == (502, "gateway-token-refused")
        assert "not for the organization" in found.json()["detail"]


def test_a_token_that_only_reads_or_is_none_is_not_the_callers_fault(letta, token):
    path = "/v1/agents/agent-own/webhook"
    with letta("org-a", token(admin=True, read_only=True, name="reads")) as here:
        assert kind(here.get(path)) == "not-found"
        found = here.put(path, json={"url": "https://example.com/"})
        assert (found.status_code, kind(found)) == (502, "gateway-token-refused")
    with letta("org-a", "lgw_none") as here:
        assert kind(here.get(path)) == "gateway-token-refused"


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"admin": True}, "takes the token"),
        ({"organization": "org-a"}, "takes the token"),
        ({"admin": True, "read_only": True}, "only read"),
    ],
)
def test_the_doctor_knows_a_token_that_is_enough(shared, token, monkeypatch, members, said):
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_URL", shared.said["url"])
    monkeypatch.setenv("LETTA_EMITTER_GATEWAY_TOKEN", token(name="doctor", **members))
    *_, gateway = checks.look([])
    assert gateway.ok is (said == "takes the token")
    assert said in gateway.detail
