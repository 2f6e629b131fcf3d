"""Every route of the OpenAPI document, asked with every kind of token (S11a; INTERFACE: 404, not 403).

What is expected follows from one line per route in ``TABLE``. A route that has no line fails, so that none is
forgotten; and what is another organization's is compared with what never was: no byte may tell them apart.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import pytest

import contracts
from gateway.api import streams
from gateway.api.application import create_api
from gateway.domain.delivery import Decision
from gateway.domain.erasure import Scope, Target
from gateway.domain.ids import delivery_id
from gateway.domain.webhooks import WebhookScope
from gateway.ports import AttemptRecord, Entry, JournalBatch, NewQuarantine

OWN, FOREIGN = "org-own", "org-foreign"
READING = {"get", "options", "head"}
CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
PULL = {"sink": "pull:"}
R = "/registry"
GROUPS = R + "/schemagroups"
SCHEMA = GROUPS + "/{group}/schemas/{name}"


class Access(Enum):
    """Whom a route lets in."""

    OPEN = auto()  # everybody, without a token
    LOCAL = auto()  # this machine, and administrators
    ADMIN = auto()  # administrators
    THING = auto()  # whoever's the thing is that the path names: another's is not there
    LIST = auto()  # everybody with a token, to what is theirs
    NAMING = auto()  # the body names an organization: another's is refused


@dataclass(frozen=True)
class World:
    """A thing of each kind, all of one organization; or, all of them, nobody's."""

    subscription: str
    position: str
    delivery: str
    quarantine: str
    replay: str
    token: str
    erasure: str
    signature: str
    organization: str
    agent: str
    # Of each kind of webhook, by where it is: a delivery.
    webhooks: dict[str, str]

    def path(self, template: str) -> str:
        return template.format(
            subscription_id=self.subscription,
            position=self.position,
            delivery_id=self.webhooks.get(template.partition("/deliveries")[0], self.delivery),
            organization_id=self.organization,
            agent_id=self.agent,
            quarantine_id=self.quarantine,
            replay_id=self.replay,
            token_id=self.token,
            erasure_id=self.erasure,
            run_id="999999",
            token="A" * 43,
            group="com.letta",
            name="agent.step.completed",
            version="1",
        )

    def hidden(self, text: str) -> str:
        """The text without what tells this world from another."""
        for name in (self.subscription, self.delivery, self.quarantine, self.token, self.erasure, self.agent):
            text = text.replace(name, "ID")
        return text


WEBHOOK = "/webhook"
OF_AGENT = "/v1/agents/{agent_id}" + WEBHOOK
OF_ORGANIZATION = "/v1/organizations/{organization_id}" + WEBHOOK
OF_ALL = "/v1" + WEBHOOK
NO_DELIVERY = delivery_id(999_999, 999_999, bytes(32))

NOBODYS = World(
    subscription="sub_" + "a" * 26,
    position="999999",
    delivery=NO_DELIVERY,
    quarantine="qrn_" + "a" * 26,
    replay="999999",
    token="tok_" + "a" * 26,
    erasure="ers_" + "a" * 26,
    signature="A" * 43,
    organization="org-nobodys",
    agent="agent-nobodys",
    webhooks={},
)


def _nothing(_world: World) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Row:
    """What a route is like; ``fine`` is its answer to who may, ``request`` what it is asked with."""

    access: Access
    fine: int = 200
    request: Callable[[World], dict[str, Any]] = _nothing


def event(number: str, organization: str = OWN) -> dict[str, Any]:
    source = f"https://letta/organizations/{organization}/agents/agent-1"
    return {
        "specversion": "1.0",
        "id": number,
        "source": source,
        "type": "com.letta.test",
        "data": {"organization_id": organization},
    }


def _event(_world: World) -> dict[str, Any]:
    return {"content": json.dumps(event("new")), "headers": CLOUDEVENT}


def sends(**body: Any) -> Callable[[World], dict[str, Any]]:
    return lambda _world: {"json": body}


URL = "https://93.184.216.34/hook"


def named(**request: Any) -> Callable[[World], dict[str, Any]]:
    """Says whose agent it is, so that everybody asks for the same one."""
    return lambda world: {"params": {"organization": world.organization}, **request}


S, E, D, T = "/v1/subscriptions", "/v1/events", "/v1/deliveries", "/v1/tokens"
X = "/v1/erasures"
A = "/v1/archives"
ONE = S + "/{subscription_id}"

TABLE: dict[tuple[str, str], Row] = {
    ("get", E): Row(Access.LIST),
    ("post", E): Row(Access.NAMING, 202, _event),
    ("get", E + "/stream"): Row(Access.LIST),
    ("get", E + "/{position}"): Row(Access.THING),
    ("get", E + "/{position}/deliveries"): Row(Access.THING),
    ("get", E + "/{position}/trace"): Row(Access.THING),
    ("get", E + "/{position}/explain"): Row(
        Access.THING, 200, lambda world: {"params": {"subscription": world.subscription}}
    ),
    ("get", S): Row(Access.LIST),
    ("post", S): Row(Access.NAMING, 201, sends(**PULL, organization=OWN)),
    ("post", S + "/import"): Row(Access.ADMIN, 201, lambda _world: {"json": [PULL]}),
    ("get", ONE): Row(Access.THING),
    ("put", ONE): Row(Access.THING, 200, sends(**PULL, name="other")),
    ("patch", ONE): Row(Access.THING, 200, sends(name="other")),
    ("delete", ONE): Row(Access.THING, 204),
    ("options", ONE): Row(Access.THING, 204),
    ("post", ONE + "/pause"): Row(Access.THING),
    ("post", ONE + "/resume"): Row(Access.THING),
    ("post", ONE + "/rotate-secret"): Row(Access.THING),
    ("post", "/v1/secrets/rotate-key"): Row(Access.ADMIN),
    ("get", "/v1/secrets/keys"): Row(Access.ADMIN),
    ("post", ONE + "/test"): Row(Access.THING, 202),
    ("post", ONE + "/validate"): Row(Access.THING, 202),
    ("post", ONE + "/replay"): Row(Access.THING, 202, sends(from_position=1)),
    ("get", ONE + "/replays"): Row(Access.THING),
    ("get", ONE + "/replays/{replay_id}"): Row(Access.THING),
    ("delete", ONE + "/replays/{replay_id}"): Row(Access.THING, 204),
    ("get", ONE + "/deliveries"): Row(Access.THING),
    ("get", ONE + "/stats"): Row(Access.THING),
    ("get", ONE + "/stream"): Row(Access.THING),
    ("get", D): Row(Access.LIST),
    ("get", D + "/{delivery_id}"): Row(Access.THING),
    ("post", D + "/{delivery_id}/retry"): Row(Access.THING, 202),
    ("put", OF_AGENT): Row(Access.THING, 200, named(json={"url": URL})),
    ("get", OF_AGENT): Row(Access.THING, 200, named()),
    ("delete", OF_AGENT): Row(Access.THING, 204, named()),
    ("post", OF_AGENT + "/test"): Row(Access.THING, 202, named()),
    ("get", OF_AGENT + "/deliveries"): Row(Access.THING, 200, named()),
    ("post", OF_AGENT + "/deliveries/{delivery_id}/retry"): Row(Access.THING, 202, named()),
    ("put", OF_ORGANIZATION): Row(Access.THING, 200, sends(url=URL)),
    ("get", OF_ORGANIZATION): Row(Access.THING),
    ("delete", OF_ORGANIZATION): Row(Access.THING, 204),
    ("post", OF_ORGANIZATION + "/test"): Row(Access.THING, 202),
    ("get", OF_ORGANIZATION + "/deliveries"): Row(Access.THING),
    ("post", OF_ORGANIZATION + "/deliveries/{delivery_id}/retry"): Row(Access.THING, 202),
    ("put", OF_ALL): Row(Access.ADMIN, 200, sends(url=URL)),
    ("get", OF_ALL): Row(Access.ADMIN),
    ("delete", OF_ALL): Row(Access.ADMIN, 204),
    ("post", OF_ALL + "/test"): Row(Access.ADMIN, 202),
    ("get", OF_ALL + "/deliveries"): Row(Access.ADMIN),
    ("post", OF_ALL + "/deliveries/{delivery_id}/retry"): Row(Access.ADMIN, 202),
    ("get", A): Row(Access.ADMIN),
    ("post", A): Row(Access.ADMIN, 202, sends(before_position=1)),
    ("get", A + "/runs/{run_id}"): Row(Access.ADMIN, 404),
    ("get", A + "/{position}"): Row(Access.ADMIN, 404),
    ("get", A + "/{position}/file"): Row(Access.ADMIN, 404),
    ("post", A + "/{position}/restore"): Row(Access.ADMIN, 404),
    ("get", "/v1/quarantine"): Row(Access.LIST),
    ("get", "/v1/quarantine/{quarantine_id}"): Row(Access.THING),
    ("delete", "/v1/quarantine/{quarantine_id}"): Row(Access.THING, 204),
    ("post", "/v1/quarantine/{quarantine_id}/redrive"): Row(Access.THING),
    ("get", T): Row(Access.ADMIN),
    ("post", T): Row(Access.ADMIN, 201, sends(organization=OWN)),
    ("get", T + "/{token_id}"): Row(Access.ADMIN),
    ("delete", T + "/{token_id}"): Row(Access.ADMIN, 204),
    ("get", X): Row(Access.ADMIN),
    ("post", X): Row(Access.ADMIN, 202, sends(organization_id=OWN)),
    ("get", X + "/{erasure_id}"): Row(Access.ADMIN),
    ("get", "/payloads/{delivery_id}"): Row(
        Access.OPEN, 200, lambda world: {"params": {"sig": world.signature}}
    ),
    # Whose it is says the token in the link; nobody waits for this one.
    ("get", "/handshake/{token}"): Row(Access.OPEN, 404),
    ("post", "/handshake/{token}"): Row(Access.OPEN, 404),
    ("get", "/healthz"): Row(Access.OPEN),
    ("get", "/readyz"): Row(Access.OPEN, 503),  # the fixture's Redis is away
    ("get", "/metrics"): Row(Access.LOCAL),
    **{
        (verb, path): Row(Access.OPEN)
        for verb in ("get", "head")
        for path in (
            *(R, R + "/export", R + "/model", R + "/modelsource", R + "/capabilities", GROUPS),
            *(GROUPS + "/{group}", GROUPS + "/{group}/schemas", SCHEMA, SCHEMA + "/meta"),
            *(SCHEMA + "/versions", SCHEMA + "/versions/{version}"),
        )
    },
    # The same as the newest version, so that nothing is made of it.
    ("post", SCHEMA): Row(
        Access.ADMIN, 200, lambda _world: {"json": contracts.load().schema("com.letta.agent.step.completed")}
    ),
}

CALLERS = ("admin", "own", "foreign", "own read-only", "admin read-only", "expired", "revoked", "none")
WITHOUT = {"expired", "revoked", "none"}


def expected(row: Row, method: str, caller: str) -> int:
    """What a route answers to a caller: the whole policy."""
    if row.access is Access.OPEN:
        return row.fine
    if caller in WITHOUT:
        return 401
    if caller.endswith("read-only") and method not in READING:
        return 403
    bound = not caller.startswith("admin")
    if bound and row.access in {Access.ADMIN, Access.LOCAL}:
        return 403
    if caller == "foreign" and row.access is Access.THING:
        return 404
    if caller == "foreign" and row.access is Access.NAMING:
        return 403
    return row.fine


def documented(services) -> set[tuple[str, str]]:
    paths = create_api(services, "0").openapi()["paths"]
    return {(method, path) for path, operations in paths.items() for method in operations}


@pytest.fixture
def headers(tokens, admin):
    return {
        "admin": admin,
        "own": tokens.make(organization=OWN)[1],
        "foreign": tokens.make(organization=FOREIGN)[1],
        "own read-only": tokens.make(organization=OWN, read_only=True)[1],
        "admin read-only": tokens.make(read_only=True)[1],
        "expired": tokens.expired(organization=OWN),
        "revoked": tokens.revoked(organization=OWN),
        "none": {},
    }


@pytest.fixture
def world(anonymous, services, tokens, headers, monkeypatch) -> Callable[[], World]:
    """Makes things that are the own organization's."""
    monkeypatch.setattr(streams, "STREAM_S_MAX", -1.0)  # an open stream says where it is, and ends

    def ask(path: str, **request: Any) -> Any:
        answer = anonymous.post(path, **request)
        assert answer.status_code in {201, 202}, answer.text
        return answer.json()

    def tried(number: int, entry: Entry, attempt_id: str) -> None:
        attempt = AttemptRecord(
            id=attempt_id,
            number=number,
            position=entry.position,
            hash6=entry.row_hash[:6],
            attempt=1,
            round=0,
            cause="first",
            decision=Decision.DELIVERED,
            counts=False,
            started_at_us=services.now(),
            duration_us=1,
            revision=1,
            trace_id="t" * 32,
            span_id="s" * 16,
            status=204,
        )
        anonymous.portal.call(services.deliveries.commit, JournalBatch([attempt], (), (), (), 0))

    def make() -> World:
        own, call = headers["own"], anonymous.portal.call
        # A name that resolves to nothing: what is only pulled has neither tests nor replays.
        posted = {"sink": "https://receiver.invalid/", "config": {"start": "beginning"}}
        made = ask(S, json=posted, headers=own)["id"]
        unique = os.urandom(8).hex()
        [position] = ask(E, content=json.dumps(event(unique)), headers=own | CLOUDEVENT)["positions"]
        entry = call(services.log.get, position)
        agent = f"agent-{unique}"
        scopes = {
            OF_AGENT: WebhookScope(OWN, agent),
            OF_ORGANIZATION: WebhookScope(OWN),
            OF_ALL: WebhookScope("*"),
        }
        for template in scopes:
            put = template.format(agent_id=agent, organization_id=OWN)
            headers_ = headers["admin" if template == OF_ALL else "own"]
            assert anonymous.put(put, json={"url": URL}, headers=headers_).status_code in {200, 201}
        numbers = {
            template: call(services.subscriptions.webhook, scope.organization, scope.key).number
            for template, scope in scopes.items()
        }
        number = call(services.subscriptions.get, made).number
        for attempted in (number, *numbers.values()):
            tried(attempted, entry, f"att_{attempted}_{unique}")
        payload = json.dumps(event(f"q{unique}")).encode()
        call(services.log.append, [], [NewQuarantine("test", unique, "malformed", [], payload, OWN)])
        quarantined = anonymous.get("/v1/quarantine", headers=own).json()["items"][0]["id"]
        replay = ask(f"{S}/{made}/replay", json={"from_position": 1}, headers=own)["id"]
        delivery = delivery_id(number, position, entry.row_hash)
        return World(
            subscription=made,
            position=str(position),
            delivery=delivery,
            quarantine=quarantined,
            replay=str(replay),
            token=tokens.make(organization=OWN)[0],
            erasure=call(services.erasures.request, Target(Scope.AGENT, f"agent-{unique}")).id,
            signature=services.payload_links.url(delivery).partition("?sig=")[2],
            organization=OWN,
            agent=agent,
            webhooks={
                template: delivery_id(of, position, entry.row_hash) for template, of in numbers.items()
            },
        )

    return make


@pytest.fixture
def ask(anonymous, headers):
    """Asks a route about a world, as a caller."""

    def run(method: str, template: str, world: World, caller: str) -> Any:
        request = TABLE[method, template].request(world)
        request["headers"] = {**request.get("headers", {}), **headers[caller]}
        return anonymous.request(method, world.path(template), **request)

    return run


def told(answer, world: World) -> tuple[Any, ...]:
    """All that an answer says, but for the name that was asked for."""
    said = {name: world.hidden(value) for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, world.hidden(answer.text), said


def test_every_route_has_a_line_and_every_line_a_route(services):
    assert documented(services) - TABLE.keys() == set(), "say in TABLE whom the new route lets in"
    assert TABLE.keys() - documented(services) == set()


def routes_of(routes: list[Any]) -> Iterator[Any]:
    """Every route; a router that was included is one that holds others."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from routes_of(inner.routes)


def test_no_route_of_the_api_is_kept_out_of_the_document(services):
    hidden = [
        route.path for route in routes_of(create_api(services, "0").routes) if not route.include_in_schema
    ]
    # The root of the registry by its other spelling is one route with two methods.
    assert sorted(set(hidden)) == ["/", "/openapi.json", "/registry/"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("DELETE", E, 405), ("GET", "/v1/", 404)]
)
def test_what_there_is_not_is_not_told_without_a_token(anonymous, headers, method, path, status):
    for caller, sent in headers.items():
        answer = anonymous.request(method, path, headers=sent)
        only_reads = caller.endswith("read-only") and method.lower() not in READING
        assert answer.status_code == (401 if caller in WITHOUT else 403 if only_reads else status), caller


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/events", "GET, HEAD, POST"),
        ("POST", "/v1/subscriptions/sub_1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("PATCH", "/v1/events/7/deliveries", "GET, HEAD"),
    ],
)
def test_a_405_names_every_method_that_the_path_takes(anonymous, headers, method, path, allowed):
    answer = anonymous.request(method, path, headers=headers["admin"])
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_slash_too_many_sends_nobody_elsewhere(anonymous, headers):
    answer = anonymous.get("/v1/events/", headers=headers["admin"], follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_the_document_says_where_a_token_is_wanted(services):
    document = create_api(services, "0").openapi()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            wanted = TABLE[method, path].access not in {Access.OPEN, Access.LOCAL}
            assert operation.get("security") == ([{"bearer": []}] if wanted else None)
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize(("method", "template"), sorted(TABLE))
def test_who_gets_which_answer(ask, world, method, template):
    row = TABLE[method, template]
    for caller in CALLERS:
        answer = ask(method, template, world(), caller)
        assert answer.status_code == expected(row, method, caller), (caller, answer.text)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith('Bearer realm="letta-gateway"')
        if answer.status_code in {401, 403, 404}:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize(
    ("method", "template"), sorted(name for name, row in TABLE.items() if row.access is Access.THING)
)
def test_what_is_anothers_is_as_what_never_was(ask, world, method, template):
    made = world()
    anothers = told(ask(method, template, made, "foreign"), made)
    assert anothers == told(ask(method, template, NOBODYS, "foreign"), NOBODYS)
    assert anothers[0] == 404
    # And nothing has happened to it.
    if method != "delete":
        assert ask(method, template, made, "own").status_code == TABLE[method, template].fine


@pytest.mark.parametrize(
    ("method", "template"),
    sorted(name for name, row in TABLE.items() if row.access not in {Access.OPEN, Access.LOCAL}),
)
def test_who_is_not_let_in_is_told_nothing_of_what_there_is(ask, world, method, template):
    made = world()
    for caller in WITHOUT:
        assert told(ask(method, template, made, caller), made) == told(
            ask(method, template, NOBODYS, caller), NOBODYS
        )
    for caller in ("own read-only",) if method not in READING else ():
        assert told(ask(method, template, made, caller), made) == told(
            ask(method, template, NOBODYS, caller), NOBODYS
        )


@pytest.mark.parametrize(
    "template", sorted(path for (_, path), row in TABLE.items() if row.access is Access.LIST)
)
def test_a_list_has_what_is_ones_own(ask, world, template):
    empty = ask("get", template, NOBODYS, "foreign").text
    made = world()
    if template.endswith("/stream"):
        # Its contents: test_s11a_the_stream_has_what_the_list_has.
        return
    assert ask("get", template, made, "foreign").text == empty
    assert json.loads(empty) == {"items": [], "next": None}
    for caller in ("own", "own read-only", "admin", "admin read-only"):
        assert ask("get", template, made, caller).json()["items"]
