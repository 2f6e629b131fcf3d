"""`Idempotency-Key` on `POST /v1/subscriptions`: asked twice, made once, and answered alike."""

import asyncio
from dataclasses import replace

import anyio
import httpx
import pytest
from sqlalchemy import text

from gateway.api.application import create_api
from gateway.api.idempotency import HEADER

SINK = "http://127.0.0.1:9/hook"
KEY = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'


def ask(client, key=KEY, headers=None, **members):
    keyed = {} if key is None else {HEADER: key}
    return client.post("/v1/subscriptions", json={"sink": SINK} | members, headers=keyed | (headers or {}))


def made(client):
    return [item["id"] for item in client.get("/v1/subscriptions").json()["items"]]


def test_the_same_again_is_the_same_answer_with_the_secret(client):
    first = ask(client, name="mine", types=["agent.step.completed"])
    assert first.status_code == 201
    again = ask(client, KEY.strip('"'), types=["agent.step.completed"], name="mine")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.json()["secret"].startswith("whsec_")
    for name in ("location", "etag"):
        assert again.headers[name] == first.headers[name]
    assert made(client) == [first.json()["id"]]


def test_it_stays_so_when_the_subscription_was_changed_or_rotated(client):
    first = ask(client)
    path = first.headers["location"]
    client.patch(path, json={"name": "other"})
    client.post(f"{path}/rotate-secret")
    assert ask(client).json() == first.json()


def test_another_body_is_422(client):
    ask(client)
    answer = ask(client, name="another")
    assert answer.status_code == 422
    assert answer.json()["type"].endswith(":idempotency-key-reused")
    assert len(made(client)) == 1


@pytest.mark.parametrize("key", ["", '""', '"open', "two words", "x" * 256])
def test_a_malformed_key_is_400(client, key):
    answer = ask(client, key)
    assert answer.status_code == 400, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [HEADER]
    assert made(client) == []


def test_two_keys_in_one_request_are_none(client):
    headers = [(HEADER, "a"), (HEADER, "b")]
    assert client.post("/v1/subscriptions", json={"sink": SINK}, headers=headers).status_code == 400


def test_what_failed_is_not_remembered(client):
    assert ask(client, sink="ftp://example.com/").status_code == 422
    assert ask(client, config={"start": 10_000}).status_code == 422
    assert ask(client).status_code == 201


def test_without_a_key_each_is_another(client):
    assert ask(client, None).json()["id"] != ask(client, None).json()["id"]


def test_a_deleted_one_is_410_and_its_secret_is_gone(client):
    first = ask(client)
    client.delete(first.headers["location"])
    answer = ask(client)
    assert answer.status_code == 410
    assert first.json()["secret"] not in answer.text
    assert ask(client, "another").status_code == 201


def test_nobody_is_answered_with_anothers(client, tokens):
    _, one = tokens.make(organization="org-1")
    _, same = tokens.make(organization="org-1")
    _, foreign = tokens.make(organization="org-2")
    answers = [ask(client, headers=headers, sink="pull:").json() for headers in ({}, one, same, foreign)]
    assert len({answer["id"] for answer in answers}) == 4
    assert len({answer["secret"] for answer in answers}) == 4
    assert ask(client, headers=one, sink="pull:").json() == answers[1]


def test_one_at_a_time(services):
    """A request that comes while the first is being served is told so, and both have made one."""
    entered, go_on = anyio.Event(), anyio.Event()
    admit = services.admit_sink

    async def slow(url, privileged):
        entered.set()
        await go_on.wait()
        await admit(url, privileged)

    async def scenario():
        app = create_api(replace(services, admit_sink=slow), "0")
        headers = {"Authorization": "Bearer lgw_test_token_of_sixteen", HEADER: KEY}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://testserver", headers=headers
        ) as client:
            first = asyncio.ensure_future(client.post("/v1/subscriptions", json={"sink": SINK}))
            await entered.wait()
            second = await client.post("/v1/subscriptions", json={"sink": SINK})
            go_on.set()
            return await first, second, await client.post("/v1/subscriptions", json={"sink": SINK})

    first, second, third = asyncio.run(scenario())
    assert (first.status_code, second.status_code, third.status_code) == (201, 409, 201)
    assert "retry-after" in second.headers
    assert third.json() == first.json()


def test_forgotten_after_a_day(client, database):
    first = ask(client)
    database.write_now(
        lambda connection: connection.execute(text("UPDATE idempotency_key SET until = until - 86400000000"))
    )
    assert ask(client).json()["id"] != first.json()["id"]
