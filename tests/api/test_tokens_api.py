"""`/v1/tokens`: made, shown once, listed, revoked; and what becomes of what a token holds open."""

import asyncio
import contextlib
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from gateway.api.application import create_api
from gateway.api.credentials import Credentials
from gateway.domain.api_tokens import new_token
from gateway.errors import InvalidToken, Unavailable
from gateway.ports import NewApiToken

PATH = "/v1/tokens"
EVENTS = {"accept": "text/event-stream"}


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def make(client, **body):
    answer = client.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def facts(client, kind):
    return [
        item["event"]["data"]
        for item in client.get("/v1/events", params={"type": f"com.letta.gateway.token.{kind}"}).json()[
            "items"
        ]
    ]


def eventually(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_it_is_shown_once_and_counts_from_then_on(client):
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    body = {"organization": "org-1", "name": "ci", "read_only": True, "expires_at": expires.isoformat()}
    answer = client.post(PATH, json=body)
    made = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/{made['id']}")
    assert answer.headers["cache-control"] == "no-store"
    token = made.pop("token")
    assert made | {"created_at": None} == {
        "id": made["id"],
        "name": "ci",
        "admin": False,
        "organization": "org-1",
        "read_only": True,
        "state": "active",
        "created_at": None,
        "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "last_used_at": None,
    }
    assert client.get("/v1/events", headers=bearer(token)).status_code == 200
    for shown in (client.get(f"{PATH}/{made['id']}"), client.get(PATH)):
        assert token not in shown.text
        assert '"token"' not in shown.text


def test_its_last_use_is_shown_and_no_request_writes_it(client, services, database):
    made = make(client, admin=True)
    before = client.get(f"{PATH}/{made['id']}").json()
    written = database_writes(database)
    assert before["last_used_at"] is None
    for _ in range(5):
        assert client.get("/v1/subscriptions", headers=bearer(made["token"])).status_code == 200
    shown = client.get(f"{PATH}/{made['id']}").json()["last_used_at"]
    assert shown is not None
    assert client.get(PATH).json()["items"][0]["last_used_at"] == shown
    assert written() == 0
    client.portal.call(services.credentials.note_uses)
    assert written() == 1
    assert services.credentials.as_used(stored(services, made)).last_used_at_us is not None
    client.portal.call(services.credentials.note_uses)  # nothing new, nothing written
    assert written() == 1


def stored(services, made):
    return asyncio.run(services.credentials.tokens.get(made["id"]))


def database_writes(database):
    """Counts what is written from now on."""
    count, write = 0, database.write

    async def counted(work):
        nonlocal count
        count += 1
        return await write(work)

    database.write = counted
    return lambda: count


def test_a_revoked_one_stops_at_once(client):
    made = make(client, organization="org-1")
    assert client.get("/v1/events", headers=bearer(made["token"])).status_code == 200
    assert client.delete(f"{PATH}/{made['id']}").status_code == 204
    answer = client.get("/v1/events", headers=bearer(made["token"]))
    assert (answer.status_code, answer.json()["detail"][:23]) == (401, "This token was revoked.")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert client.get(f"{PATH}/{made['id']}").status_code == 404
    assert client.delete(f"{PATH}/{made['id']}").status_code == 404
    assert client.get(PATH).json()["items"] == []


def test_an_expired_one_stops_by_itself_and_says_so(client, tokens):
    answer = client.get("/v1/events", headers=tokens.expired(organization="org-1"))
    assert (answer.status_code, answer.json()["detail"][:23]) == (401, "This token has expired.")
    assert client.get(PATH).json()["items"][0]["state"] == "expired"


@pytest.mark.parametrize(
    "header", [None, "", "Basic abc", "Bearer", "Bearer  ", "bearer lgw_unknown", "Bearer é"]
)
def test_what_is_no_token(anonymous, header):
    headers = {} if header is None else {"Authorization": header.encode()}
    answer = anonymous.get("/v1/events", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="letta-gateway"')
    given = header is not None and header.lower().startswith("bearer ") and header[7:].strip()
    assert ("invalid_token" in answer.headers["www-authenticate"]) is bool(given)


def test_an_administrators_token_does_what_the_first_one_does(client):
    made = make(client, admin=True, name="second")
    second = bearer(made["token"])
    third = client.post(PATH, json={"organization": "org-1"}, headers=second).json()
    assert client.delete(f"{PATH}/{third['id']}", headers=second).status_code == 204
    assert client.post("/v1/subscriptions/import", json=[], headers=second).status_code == 201
    created, revoked = facts(client, "created"), facts(client, "revoked")
    assert [fact["by"] for fact in created] == [made["id"], None]
    assert [(fact["token_id"], fact["by"]) for fact in revoked] == [(third["id"], made["id"])]
    everything = client.get("/v1/events", params={"type": "com.letta.gateway.token.created"}).text
    assert made["token"] not in everything
    assert third["token"] not in everything


def test_an_organization_sees_nothing_of_tokens(client):
    made = make(client, organization="org-1")
    mine = bearer(made["token"])
    assert client.get(
        "/v1/events", params={"type": "com.letta.gateway.token.created"}, headers=mine
    ).json() == {
        "items": [],
        "next": None,
    }
    for method, path in (("GET", PATH), ("GET", f"{PATH}/{made['id']}"), ("DELETE", f"{PATH}/{made['id']}")):
        assert client.request(method, path, headers=mine).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/organization"]),
        ({"organization": "*"}, ["/organization"]),
        ({"admin": True, "organization": "org-1"}, ["/admin"]),
        ({"admin": True, "read_only": "no", "expires_at": "never"}, ["/read_only", "/expires_at"]),
        ([], [""]),
    ],
)
def test_what_cannot_be_a_token_names_every_member(client, body, pointers):
    answer = client.post(PATH, json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers
    assert client.get(PATH).json()["items"] == []


def test_pages(client):
    made = [make(client, organization="org-1", name=str(number))["id"] for number in range(5)]
    seen, cursor = [], None
    while True:
        page = client.get(PATH, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == made
    assert client.get(PATH, params={"cursor": "x"}).status_code == 400


def test_tokens_live_through_a_restart(client, services):
    made = make(client, organization="org-1")
    again = Credentials(services.credentials.tokens, "", now=services.now)
    found = client.portal.call(again.principal, made["token"])
    assert (found.organization, found.writes, found.token_id) == ("org-1", True, made["id"])


# What a token holds open.


@pytest.fixture
def open_stream(served):
    """Opens a stream with a token, over a real server; gives what comes behind its beginning."""
    with contextlib.ExitStack() as stack:

        def run(token, path="/v1/events/stream"):
            client = stack.enter_context(served.client(headers=bearer(token) | EVENTS))
            answer = stack.enter_context(client.stream("GET", path))
            assert answer.status_code == 200
            chunks = answer.iter_raw()
            next(chunks)
            return chunks

        yield run


@pytest.fixture
def real(served):
    with served.client() as found:
        yield found


@pytest.mark.parametrize("of", ["log", "subscription"])
def test_an_open_stream_ends_with_its_token_and_is_whole(real, served, open_stream, of):
    made, other = make(real, organization="org-1"), make(real, organization="org-1")
    path = "/v1/events/stream"
    if of == "subscription":
        subscription = real.post("/v1/subscriptions", json={"sink": "pull:", "organization": "org-1"}).json()
        path = f"/v1/subscriptions/{subscription['id']}/stream"
    ends, goes_on = open_stream(made["token"], path), open_stream(other["token"], path)
    real.delete(f"{PATH}/{made['id']}")
    assert list(ends) == []  # ended, not cut off
    eventually(lambda: served.services.slots.taken == 1)
    source = "https://letta/organizations/org-1/agents/a"
    event = {"specversion": "1.0", "id": "1", "source": source, "type": "com.letta.x"}
    real.post(
        "/v1/events", content=json.dumps(event), headers={"content-type": "application/cloudevents+json"}
    )
    assert b"com.letta.x" in next(goes_on)


def test_a_stream_ends_where_another_process_has_revoked_its_token(real, served, open_stream):
    made = make(real, organization="org-1")
    ends = open_stream(made["token"])
    # Not by way of this process's API: only the database knows.
    served.portal.call(lambda: served.services.credentials.tokens.revoke(made["id"], by=None))
    assert list(ends) == []
    eventually(lambda: real.get("/v1/events", headers=bearer(made["token"])).status_code == 401)


def test_a_stream_ends_when_its_token_expires(real, open_stream):
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    made = make(real, organization="org-1", expires_at=soon)
    assert list(open_stream(made["token"])) == []
    assert real.get("/v1/events", headers=bearer(made["token"])).status_code == 401


def test_who_waits_for_a_batch_is_told_that_the_token_is_over(real, served):
    made = make(real, organization="org-1")
    subscription = real.post("/v1/subscriptions", json={"sink": "pull:", "organization": "org-1"}).json()
    answers = []

    def wait():
        with served.client(headers=bearer(made["token"])) as client:
            answers.append(client.get(f"/v1/subscriptions/{subscription['id']}/stream?wait=60"))

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(lambda: served.services.tail.followers == 1)
    real.delete(f"{PATH}/{made['id']}")
    waiting.join(timeout=20)
    assert [answer.status_code for answer in answers] == [401]
    assert served.services.slots.taken == 0


# The book-keeping beside the database.


class Slow:
    """Tokens that are read when they are let go."""

    def __init__(self, tokens):
        self._tokens = tokens
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.reads = 0

    def __getattr__(self, name):
        return getattr(self._tokens, name)

    async def by_hash(self, token_hash):
        found = await self._tokens.by_hash(token_hash)
        self.reads += 1
        self.asked.set()
        await self.go.wait()
        return found


def new(services, **members):
    text, kept = new_token(services.random(32))
    standard = {"name": None, "organization": "org-1", "read_only": False, "expires_at_us": None, "by": None}
    return text, NewApiToken(kept, **(standard | members))


def test_what_was_read_before_a_revocation_is_not_kept_after_it(services):
    async def run():
        slow = Slow(services.credentials.tokens)
        book = Credentials(slow, "", now=services.now)
        text, wanted = new(services)
        made = await book.create(wanted)
        asking = asyncio.ensure_future(book.principal(text))
        await slow.asked.wait()
        await book.revoke(made.id, by=None)
        slow.go.set()
        await asking
        with pytest.raises(InvalidToken):
            await book.principal(text)

    asyncio.run(run())


def test_one_that_is_used_all_the_time_is_read_once_a_second(services):
    async def run():
        clock = [100.0]
        slow = Slow(services.credentials.tokens)
        slow.go.set()
        book = Credentials(slow, "", now=services.now, monotonic=lambda: clock[0])
        text, wanted = new(services)
        await book.create(wanted)
        for _ in range(50):
            await book.principal(text)
        assert slow.reads == 1
        clock[0] += 1.0
        await book.principal(text)
        assert slow.reads == 2

    asyncio.run(run())


def test_an_expiry_needs_no_second_look(services):
    async def run():
        now = [1_000]
        book = Credentials(services.credentials.tokens, "", now=lambda: now[0], monotonic=lambda: 0.0)
        text, wanted = new(services, expires_at_us=2_000)
        await book.create(wanted)
        await book.principal(text)
        now[0] = 2_000
        with pytest.raises(InvalidToken, match="expired"):
            await book.principal(text)

    asyncio.run(run())


def test_a_last_use_that_cannot_be_written_is_kept_for_the_next_time(services):
    async def run():
        book = Credentials(services.credentials.tokens, "", now=services.now)
        text, wanted = new(services)
        made = await book.create(wanted)
        await book.principal(text)

        class Away:
            async def used(self, _times):
                raise Unavailable("The database is away.")

        there, book.tokens = book.tokens, Away()
        await book.note_uses()
        book.tokens = there
        await book.note_uses()
        assert (await there.get(made.id)).last_used_at_us is not None

    asyncio.run(run())


def test_without_a_first_token_nobody_is_the_first(services):
    async def run():
        book = Credentials(services.credentials.tokens, "", now=services.now)
        for text in ("", " ", "lgw_"):
            with pytest.raises(InvalidToken):
                await book.principal(text)

    asyncio.run(run())


# S11f: figures.


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}, 401),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 401),
        ("127.0.0.1", {"via": "1.1 proxy"}, 401),
        ("127.0.0.1", {"x-forwarded-host": "gateway.example"}, 401),
        ("10.0.0.7", {}, 401),
        ("testclient", {}, 401),
    ],
)
def test_s11f_metrics_are_for_this_machine_and_administrators(services, admin, tokens, peer, headers, status):
    with TestClient(create_api(services, "0"), client=(peer, 5000)) as client:
        assert client.get("/metrics", headers=headers).status_code == status
        answer = client.get("/metrics", headers=headers | admin)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "letta_gateway_routing_lag_events 3\n" in answer.text
        assert 'letta_gateway_ready{check="redis"} 0\n' in answer.text
        # Who shows a token is judged by it, wherever they are.
        mine = tokens.make(organization="org-1")[1]
        assert client.get("/metrics", headers=headers | mine).status_code == 403
