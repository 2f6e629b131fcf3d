"""The local receiver: modes it reads, signatures it checks, answers it is told to give."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from gateway.cli.receiver import BODY_BYTES_MAX, Answer, Receiver
from gateway.cli.signatures import Verdict, check_secret, trace_id_of
from gateway.errors import AddressInUse, UsageError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
EVENT = {
    "specversion": "1.0",
    "id": "evt_1",
    "source": "https://letta/organizations/o",
    "type": "com.example.x",
}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()} | {"content-type": "application/json"}


def signed(body: bytes, secret: str = SECRET, delivery: str = "dlv_1") -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery, now, body.decode()),
        "x-letta-signature": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


def drive(
    receiver: Receiver, script: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]], **options: Any
) -> None:
    async def run() -> None:
        async with (
            receiver.running(**options) as at,
            httpx.AsyncClient(base_url=at.url, trust_env=False) as client,
        ):
            await script(client)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("headers", "body", "ids"),
    [
        (BINARY, b'{"a": 1}', ["evt_1"]),
        (
            {"content-type": "application/cloudevents+json; charset=utf-8"},
            json.dumps(EVENT | {"data": 1}).encode(),
            ["evt_1"],
        ),
        (
            {"content-type": "application/cloudevents-batch+json; charset=utf-8"},
            json.dumps([EVENT, EVENT | {"id": "evt_2"}]).encode(),
            ["evt_1", "evt_2"],
        ),
    ],
)
def test_each_mode_is_read_and_both_signatures_are_checked(
    headers: dict[str, str], body: bytes, ids: list[str]
) -> None:
    receiver = Receiver(secret=SECRET)

    async def script(client: httpx.AsyncClient) -> None:
        answer = await client.post("/", content=body, headers=headers | signed(body))
        assert answer.status_code == 200

    drive(receiver, script)
    (received,) = receiver.received
    assert [event.id for event in received.events] == ids
    assert received.verified_v1.good
    assert received.verified_letta.good
    assert received.body == body
    assert received.delivery_id == "dlv_1"
    assert (received.event is not None) == (len(ids) == 1)


@pytest.mark.parametrize(
    ("change", "v1", "letta"),
    [
        ({"webhook-signature": ""}, "no signature in webhook-signature", ""),
        ({"webhook-signature": "v1,AAAA"}, "no signature in webhook-signature", ""),
        ({"webhook-signature": "nonsense"}, "no signature in webhook-signature", ""),
        ({"webhook-timestamp": "1"}, "300 s away", ""),
        ({"x-letta-signature": ""}, "", "is not of this secret"),
        ({"x-letta-signature": "sha256=00"}, "", "is not of this secret"),
        ({"x-letta-signature": "sha256=é"}, "", "is not of this secret"),
    ],
)
def test_a_signature_that_is_not_good_is_told_with_the_reason(
    change: dict[str, str], v1: str, letta: str
) -> None:
    receiver = Receiver(secret=SECRET)

    async def script(client: httpx.AsyncClient) -> None:
        sent = BINARY | signed(b"{}") | change
        headers = [(name.encode(), value.encode()) for name, value in sent.items()]
        await client.post("/", content=b"{}", headers=headers)

    drive(receiver, script)
    (received,) = receiver.received
    assert (received.verified_v1.verdict is Verdict.BAD) == bool(v1)
    assert v1 in received.verified_v1.reason
    assert (received.verified_letta.verdict is Verdict.BAD) == bool(letta)
    assert letta in received.verified_letta.reason


def test_another_secret_and_a_changed_body_are_found_out() -> None:
    receiver = Receiver(secret=SECRET)

    async def script(client: httpx.AsyncClient) -> None:
        await client.post("/", content=b"{}", headers=BINARY | signed(b"{}", OTHER))
        await client.post("/", content=b"[]", headers=BINARY | signed(b"{}"))

    drive(receiver, script)
    for received in receiver.received:
        assert received.verified_v1.verdict is received.verified_letta.verdict is Verdict.BAD


def test_during_a_rotation_either_secret_is_good() -> None:
    receiver = Receiver(secret=SECRET)
    old, new = signed(b"{}", OTHER), signed(b"{}")
    both = old | {
        "webhook-signature": f"{old['webhook-signature']} {new['webhook-signature']}",
        "x-letta-signature-next": new["x-letta-signature"],
    }

    async def script(client: httpx.AsyncClient) -> None:
        await client.post("/", content=b"{}", headers=BINARY | both)

    drive(receiver, script)
    assert receiver.received[0].verified_v1.good
    assert receiver.received[0].verified_letta.good


def test_without_a_secret_nothing_is_checked_and_duplicates_are_counted() -> None:
    receiver = Receiver()

    async def script(client: httpx.AsyncClient) -> None:
        for delivery in ("dlv_1", "dlv_2", "dlv_1", "dlv_1"):
            await client.post("/", content=b"{}", headers=BINARY | {"webhook-id": delivery})
        await client.post("/", content=b"{}", headers=BINARY)
        await client.post("/", content=b"{}", headers=BINARY)

    drive(receiver, script)
    assert (receiver.count, receiver.duplicates) == (6, 2)
    assert [r.duplicate for r in receiver.received] == [False, False, True, True, False, False]
    assert {r.verified_v1.verdict for r in receiver.received} == {Verdict.UNCHECKED}


def test_what_is_no_event_is_kept_with_the_reason() -> None:
    receiver = Receiver()

    async def script(client: httpx.AsyncClient) -> None:
        assert (await client.post("/", content=b"hello")).status_code == 200

    drive(receiver, script)
    (received,) = receiver.received
    assert received.events == ()
    assert received.event is None
    assert "/id" in received.problem


def test_it_answers_as_told() -> None:
    answers = iter([Answer(503, {"Retry-After": "7"}, b"later"), Answer(204)])
    receiver = Receiver(respond=lambda _: next(answers))

    async def script(client: httpx.AsyncClient) -> None:
        first = await client.post("/", content=b"{}", headers=BINARY)
        assert (first.status_code, first.headers["retry-after"], first.content) == (503, "7", b"later")
        assert (await client.post("/", content=b"{}", headers=BINARY)).status_code == 204

    drive(receiver, script)
    assert [received.answer.status for received in receiver.received] == [503, 204]


def test_only_posts_count_and_the_handshake_is_granted() -> None:
    receiver = Receiver()

    async def script(client: httpx.AsyncClient) -> None:
        granted = await client.options("/", headers={"WebHook-Request-Origin": "hooks.example.org"})
        assert granted.status_code == 200
        assert granted.headers["webhook-allowed-origin"] == "hooks.example.org"
        assert (await client.options("/")).status_code == 405
        assert (await client.get("/")).status_code == 405

    drive(receiver, script)
    assert receiver.count == 0


def test_a_body_over_the_bound_is_refused_and_not_kept() -> None:
    receiver = Receiver()

    async def chunks() -> Any:
        for _ in range(BODY_BYTES_MAX // (1024 * 1024) + 1):
            yield bytes(1024 * 1024)

    async def script(client: httpx.AsyncClient) -> None:
        assert (await client.post("/", content=chunks(), timeout=60)).status_code == 413

    drive(receiver, script)
    assert receiver.count == 0


def test_waiting_ends_with_the_condition_or_the_time() -> None:
    receiver = Receiver()

    async def script(client: httpx.AsyncClient) -> None:
        assert not await receiver.wait_until(lambda r: r.count == 1, within_s=0.01)
        waiting = asyncio.create_task(receiver.wait_until(lambda r: r.count == 1, within_s=20))
        await client.post("/", content=b"{}", headers=BINARY)
        assert await waiting

    drive(receiver, script)


def test_a_taken_port_is_told() -> None:
    receiver = Receiver()

    async def script(_: httpx.AsyncClient) -> None:
        port = httpx.URL(receiver.url).port
        assert port is not None
        with pytest.raises(AddressInUse):
            async with Receiver().running(port):
                pass

    drive(receiver, script)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_é", "whsec_a"])
def test_a_secret_that_cannot_sign_is_refused(secret: str) -> None:
    with pytest.raises(UsageError):
        check_secret(secret)


def test_trace_ids_are_read_from_valid_traceparents_only() -> None:
    assert trace_id_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") == (
        "4bf92f3577b34da6a3ce929d0e0e4736"
    )
    for wrong in (None, "", "00-0-0-0", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"):
        assert trace_id_of(wrong) is None
