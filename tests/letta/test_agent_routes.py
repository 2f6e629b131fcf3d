"""The gateway's webhook routes on the API of a real, password-guarded Letta: set where the agent lives."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from harness.api import Answer, Letta
from harness.pipe import Pipe
from harness.processes import wait_until
from harness.server import LettaServer
from harness.site import Site
from standardwebhooks.webhooks import Webhook

PASSWORD = "a-password-of-letta"
NOBODY = "agent-00000000-0000-4000-8000-00000000abcd"
DEFAULT_ORGANIZATION = "org-00000000-0000-4000-8000-000000000000"


class Guarded(Letta):
    """Gives the password with every request, and whose request it is, if it is not the default user's."""

    user: str | None = None

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        headers = {"Authorization": f"Bearer {PASSWORD}", **more.pop("headers", {})}
        if self.user is not None:
            headers["user_id"] = self.user
        return super().call(method, path, body, headers=headers, **more)


@dataclass
class Place:
    server: LettaServer
    pipe: Pipe
    letta: Guarded


@pytest.fixture(scope="module")
def place(site: Site, make_pipe: Callable[..., Pipe]) -> Place:
    pipe = make_pipe("routes")
    emitter = {**pipe.emitter(site.folder / "routes-spool"), **pipe.routes()}
    secure = {"LETTA_SERVER_SECURE": "true", "LETTA_SERVER_PASSWORD": PASSWORD}
    server = site.server("routes", emitter=emitter, environment=secure)
    server.start()
    return Place(server, pipe, Guarded(server.url))


def problem(answer: Answer) -> str:
    return str(json.loads(answer.text)["type"]).removeprefix("urn:letta-gateway:problem:")


def test_a_webhook_is_set_where_the_agent_lives_and_its_events_arrive(place: Place):
    letta, receiver = place.letta, place.pipe.receiver
    agent, other = letta.agent("heard")["id"], letta.agent("unheard")["id"]
    path = f"/v1/agents/{agent}/webhook"
    assert problem(letta.call("GET", path)) == "not-found"
    body = {"url": f"{receiver.url}/mine", "events": ["agent.step.completed"]}
    first = letta.call("PUT", path, body)
    assert first.status == 201, first.text
    made = first.ok()
    assert (made["agent_id"], made["organization"]) == (agent, DEFAULT_ORGANIZATION)

    for name in (other, agent):
        letta.say(name, "[[say Hello.]]").ok()
    wait_until(lambda: receiver.posts("/mine"), "the event of the step", timeout_s=60)
    [post] = receiver.posts("/mine")
    event = Webhook(made["secret"]).verify(post.body, {k.lower(): v for k, v in post.headers.items()})
    assert (event["agent_id"], event["event_type"]) == (agent, "agent.step.completed")

    shown = letta.get(path)
    assert shown == {name: value for name, value in made.items() if name != "secret"}

    def delivered() -> Any:
        return letta.get(f"{path}/deliveries", state="delivered", limit=5)["items"]

    wait_until(delivered, "the delivery in the history", timeout_s=30)
    [delivery] = delivered()
    trace = delivery["attempts"][0]["trace_id"]
    for query, shows in (
        ("state=pending&state=delivered", True),
        ("state=pending&state=undelivered", False),
        ("type=agent.run.completed&type=agent.step.completed", True),
        ("type=agent.run.completed", False),
        (f"trace_id={trace}&state=delivered", True),
        (f"trace_id={'0' * 31}1", False),
        ("run_id=run-none", False),
        ("since=2001-01-01T00:00:00Z&until=2002-01-01T00:00:00Z", False),
        (f"agent_id={other}&organization=another&anything=else", True),  # no parameters of this list
    ):
        listed = letta.call("GET", f"{path}/deliveries?{query}").ok()["items"]
        assert [one["id"] for one in listed] == [delivery["id"]] * shows, query
    wrong = letta.call("GET", f"{path}/deliveries?state=delivered&state=nonsense")
    assert (wrong.status, problem(wrong)) == (422, "invalid-request")
    assert letta.call("POST", f"{path}/deliveries/{delivery['id']}/retry").status == 202
    wait_until(lambda: len(receiver.posts("/mine")) == 2, "the second attempt", timeout_s=30)
    assert {one.headers["webhook-id"] for one in receiver.posts("/mine")} == {delivery["id"]}

    assert letta.call("POST", f"{path}/test").status == 202
    wait_until(lambda: len(receiver.posts("/mine")) == 3, "the test event", timeout_s=30)
    assert receiver.posts("/mine")[-1].headers["X-Letta-Test"] == "1"

    assert letta.call("PUT", path, {**body, "enabled": False}).ok()["state"] == "paused"
    stale = letta.call("DELETE", path, headers={"If-Match": '"another"'})
    assert (stale.status, problem(stale)) == (412, "precondition-failed")
    assert letta.call("DELETE", path).status == 204
    assert letta.call("GET", path).status == 404


def test_an_agent_of_another_organization_is_not_there_as_letta_says_it(place: Place):
    letta = place.letta
    organization = letta.call("POST", "/v1/admin/orgs/", {"name": "others"}).ok()["id"]
    user = letta.call("POST", "/v1/admin/users/", {"name": "o", "organization_id": organization}).ok()["id"]
    theirs = Guarded(letta.url)
    theirs.user = user
    agent = letta.agent("ours")["id"]
    path, body = f"/v1/agents/{agent}/webhook", {"url": f"{place.pipe.receiver.url}/theirs"}
    assert letta.call("PUT", path, body).status == 201
    as_elsewhere = theirs.call("GET", f"/v1/agents/{agent}/messages")
    for method, below in (
        ("PUT", ""),
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/test"),
        ("GET", "/deliveries"),
    ):
        # Naming the organization does not help: that is not the caller's to say.
        found = theirs.call(method, f"{path}{below}?organization={DEFAULT_ORGANIZATION}", body)
        assert (found.status, found.text) == (as_elsewhere.status, as_elsewhere.text)
    assert as_elsewhere.status == 404
    assert letta.get(path)["state"] == "active"
    assert letta.call("GET", f"/v1/agents/{NOBODY}/webhook").text == as_elsewhere.text
    assert letta.call("GET", "/v1/agents/no-agent/webhook").status == 422

    own = theirs.agent("theirs", include_base_tools=False)["id"]
    made = theirs.call("PUT", f"/v1/agents/{own}/webhook", body).ok()
    assert made["organization"] == organization


def test_lettas_own_password_guards_them(place: Place):
    agent = place.letta.agent("guarded")["id"]
    for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {place.pipe.routes()}"}):
        found = Letta(place.server.url).call("GET", f"/v1/agents/{agent}/webhook", headers=given)
        assert found.status == 401


def test_they_are_in_lettas_document_and_the_rest_of_it_is_as_it_was(place: Place):
    document = place.letta.get("/openapi.json")
    routes = {path: set(of) for path, of in document["paths"].items() if "/webhook" in path}
    assert routes == {
        "/v1/agents/{agent_id}/webhook": {"put", "get", "delete"},
        "/v1/agents/{agent_id}/webhook/test": {"post"},
        "/v1/agents/{agent_id}/webhook/deliveries": {"get"},
        "/v1/agents/{agent_id}/webhook/deliveries/{delivery_id}/retry": {"post"},
    }
    assert "LettaMessageUnion" in document["components"]["schemas"]
    written = json.loads((place.server.folder / "openapi_letta.json").read_text())
    assert written["paths"].items() <= document["paths"].items()
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names))


def test_the_doctor_finds_them_mounted_and_the_gateway_answering(place: Place, site: Site):
    found = doctor(place, site)
    assert "is mounted by process" in found["routes"]["detail"]
    assert found["gateway"]["ok"], found
    assert "takes the token" in found["gateway"]["detail"]
    wrong = doctor(place, site, LETTA_EMITTER_GATEWAY_TOKEN="lgw_wrong")
    assert not wrong["gateway"]["ok"]
    assert "does not know it" in wrong["gateway"]["detail"]
    assert "lgw_wrong" not in str(wrong)
    half = doctor(place, site, LETTA_EMITTER_GATEWAY_TOKEN="")
    assert not half["routes"]["ok"]
    assert "LETTA_EMITTER_GATEWAY_TOKEN is not" in half["routes"]["detail"]


def doctor(place: Place, site: Site, **environment: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [str(site.python), "-m", "letta_emitter", "doctor", "--json"],
        env={**os.environ, **place.server.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_without_its_gateway_they_say_so_and_letta_goes_on(place: Place, site: Site):
    """The last of this file: it ends the gateway."""
    letta = place.letta
    agent = letta.agent("alone")["id"]
    place.pipe.stop_gateway()
    found = letta.call("GET", f"/v1/agents/{agent}/webhook")
    assert (found.status, problem(found)) == (502, "gateway-unreachable")
    assert letta.say(agent, "[[say Hello.]]").status == 200
    assert letta.call("GET", f"/v1/agents/{NOBODY}/webhook").status == 404
    assert not doctor(place, site)["gateway"]["ok"]
    log = place.server.log.read_text()
    assert "webhook routes: The event gateway cannot be reached" in log
    assert place.pipe.routes()["LETTA_EMITTER_GATEWAY_TOKEN"] not in log


def test_one_setting_without_the_other_is_a_line_in_the_log_and_letta_starts(site: Site, make_pipe):
    pipe = make_pipe("half-routes")
    emitter = {**pipe.emitter(site.folder / "half-spool"), "LETTA_EMITTER_GATEWAY_URL": "http://127.0.0.1:9"}
    server = site.server("half-routes", emitter=emitter)
    server.start()
    letta = Letta(server.url)
    agent = letta.agent("told")["id"]
    assert letta.call("GET", f"/v1/agents/{agent}/webhook").status == 404
    server.stop()
    lines = [line for line in server.log.read_text().splitlines() if "LETTA_EMITTER_GATEWAY_TOKEN" in line]
    assert len(lines) == 1
    assert "no webhook routes on Letta's API" in lines[0]
