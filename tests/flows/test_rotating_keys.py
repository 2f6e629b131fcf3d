"""The sealing key changes while the gateway serves, is killed and comes back: no secret is lost, and all verifies."""

import base64
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

OLD, NEW = (base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 32))
MANY = 400
BATCH = 500


@pytest.fixture(params=["sqlite", "postgres"])
def place(request) -> Iterator[tuple[dict[str, str], Callable[[], None]]]:
    """Settings that name a database, and what has to be done there before another process can follow a killed one."""
    if request.param == "sqlite":
        yield {}, lambda: None
        return
    server = request.getfixturevalue("postgres_server")
    name = f"keys_{uuid.uuid4().hex}"
    server.create(name)
    expire = "UPDATE lease SET expires_at = 0"
    yield {"GATEWAY_DATABASE_URL": server.url(name)}, lambda: server.sql(expire, database=name)
    server.drop(name)


def rotate(gateway) -> dict:
    command = [sys.executable, "-m", "gateway", "secrets", "rotate-key", "--json"]
    done = subprocess.run(
        [*command, "--data-dir", str(gateway.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"GATEWAY_URL": gateway.said["url"], "GATEWAY_API_TOKEN": "flows_token_of_sixteen"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def verifies(secret: str, post) -> bool:
    try:
        Webhook(secret).verify(post.body, post.headers)
    except WebhookVerificationError:
        return False
    return True


def with_keys(gateway, *keys: str):
    gateway.env["GATEWAY_SECRET_KEYS"] = ",".join(keys)
    return gateway.start()


def test_killed_in_the_middle_of_a_rotation_it_is_finished_by_another(
    make_gateway, valkey, place, sink, make_event
):
    settings, after_kill = place
    gateway = with_keys(make_gateway(GATEWAY_REDIS_URL=valkey.url, **settings), OLD)
    secret = gateway.subscribe(sink)["secret"]
    others = [{"sink": sink.url, "types": ["another.type"]}] * MANY
    imported = gateway.client.post("/v1/subscriptions/import", json=others)
    assert imported.status_code == 201, imported.text
    assert gateway.stop() == 0

    with_keys(gateway, NEW, OLD)
    first = gateway.client.post("/v1/secrets/rotate-key").json()
    assert (first["checked"], first["resealed"]) == (BATCH, BATCH)
    follows = {"cursor": first["next"]}
    asking = threading.Thread(target=lambda: _broken_off(gateway.client.post, follows))
    asking.start()
    gateway.kill()
    asking.join(timeout=30)
    after_kill()

    with_keys(gateway, NEW, OLD)
    found = rotate(gateway)
    assert found["checked"] == 2 * (MANY + 1)
    assert 0 <= found["resealed"] <= found["checked"] - BATCH
    assert [(key["first"], key["needed"]) for key in found["keys"]] == [(True, True), (False, True)]
    assert [key["sealed"] for key in found["keys"]] == [found["checked"], 0]
    # The old one is kept for nothing but the links that it signed.
    assert found["keys"][1]["links_until"] is not None
    assert rotate(gateway)["resealed"] == 0
    assert gateway.stop() == 0

    with_keys(gateway, NEW)
    gateway.publish(make_event())
    assert verifies(secret, sink.wait(1)[0])


def _broken_off(post, params) -> None:
    with contextlib.suppress(httpx.HTTPError):  # it may be answered, or killed before it is
        post("/v1/secrets/rotate-key", params=params)


def test_without_the_old_key_it_does_not_start_and_names_no_key(make_gateway, valkey, place, sink):
    settings, _ = place
    gateway = with_keys(make_gateway(GATEWAY_REDIS_URL=valkey.url, **settings), OLD)
    gateway.subscribe(sink)
    assert gateway.stop() == 0
    with pytest.raises(AssertionError, match="GATEWAY_SECRET_KEYS"):
        with_keys(gateway, NEW)
    assert gateway.process.wait(timeout=20) == 1
    said = gateway.said_on_stderr()
    assert "2 under key" in said
    assert "Traceback" not in said
    assert OLD not in said
    assert NEW not in said


def test_under_load_no_delivery_fails_verification(make_gateway, valkey, receiver, kind, until):
    """Three secrets and two keys, one after the other, while events come in without a pause."""
    gateway = with_keys(make_gateway(GATEWAY_REDIS_URL=valkey.url), OLD)
    unchanged, changing = receiver.sink(), receiver.sink()
    first = gateway.subscribe(unchanged)
    second = gateway.subscribe(changing)
    told, failed = [second["secret"]], []

    def check_first(post) -> None:
        # This receiver was never told of another secret: its own signs for the day of the overlap.
        if not verifies(first["secret"], post):
            failed.append(post)

    def check_second(post) -> None:
        # This one goes by the newest, if it was told that before the event came in.
        since = json.loads(post.body)["told"]
        if not any(verifies(secret, post) for secret in told) or not verifies(told[since], post):
            failed.append(post)

    unchanged.reply_by(check_first)
    changing.reply_by(check_second)
    published, ending = [], threading.Event()

    def load() -> None:
        for number in itertools.count(1):
            if ending.is_set():
                return
            event = {"specversion": "1.0", "id": f"{kind}-{number}", "source": "/load", "type": kind}
            data = {"data": {"n": number, "told": len(told) - 1}, "datacontenttype": "application/json"}
            gateway.add(event | data)
            published.append(event["id"])
            ending.wait(0.002)

    def arrive(count: int) -> None:
        until(lambda: len(changing.posts) >= count and len(unchanged.posts) >= count)

    def rotate_secret(made) -> str:
        return gateway.client.post(f"/v1/subscriptions/{made['id']}/rotate-secret").json()["secret"]

    loading = threading.Thread(target=load)
    loading.start()
    try:
        arrive(50)
        told.append(rotate_secret(second))
        rotate_secret(first)
        arrive(len(changing.posts) + 100)
        assert gateway.stop() == 0
        with_keys(gateway, NEW, OLD)
        assert rotate(gateway)["resealed"] == 4
        arrive(len(changing.posts) + 100)
        told.append(rotate_secret(second))
        arrive(len(changing.posts) + 100)
        gateway.kill()
        with_keys(gateway, NEW)
        arrive(len(changing.posts) + 100)
    finally:
        ending.set()
        loading.join(timeout=30)
    until(lambda: set(published) <= set(changing.ids) and set(published) <= set(unchanged.ids))
    assert failed == []
    assert verifies(told[2], changing.posts[-1])
    assert not verifies("whsec_" + "A" * 32, changing.posts[-1])
    attempts = gateway.rows("SELECT decision, count(*) FROM attempt GROUP BY decision")
    assert [decision for decision, _ in attempts] == ["delivered"]
