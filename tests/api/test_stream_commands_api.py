"""What is asked of a stream over HTTP: a test, a replay, one more attempt; every status, and what is wrong where."""

import asyncio
from dataclasses import replace

import pytest
from journaled import attempt

from gateway.domain.delivery import Decision
from gateway.domain.ids import delivery_id, parse_delivery_id
from gateway.domain.pending import PendingDelivery
from gateway.ports import JournalBatch, SubscriptionState

SINK = "http://127.0.0.1:9/hook"
NOW_US = 1_767_225_600_000_000
FAR_US = 4_000_000_000_000_000
FACTS = "com.letta.gateway.subscription."
CLOUDEVENT = {"content-type": "application/cloudevents+json"}


@pytest.fixture
def journal(services):
    """What an engine would have written."""

    def run(**members) -> None:
        asyncio.run(services.deliveries.commit(replace(JournalBatch((), (), (), (), 0), **members)))

    return run


@pytest.fixture
def mine(client) -> str:
    """The path of a subscription, which is number 1."""
    return "/v1/subscriptions/" + client.post("/v1/subscriptions", json={"sink": SINK}).json()["id"]


@pytest.fixture
def publish(client):
    def run(count: int = 1, type_: str = "t.a") -> list[int]:
        events = [
            {"specversion": "1.0", "id": f"{publish.count + number}", "source": "/s", "type": type_}
            for number in range(count)
        ]
        publish.count += count
        return [
            client.post("/v1/events", json=event, headers=CLOUDEVENT).json()["positions"][0]
            for event in events
        ]

    publish = run
    run.count = 0
    return run


@pytest.fixture
def disable(services):
    def run() -> None:
        asyncio.run(services.subscriptions.set_state(1, SubscriptionState.DISABLED, cause="a test"))

    return run


def facts(client, kind: str) -> list[dict]:
    items = client.get("/v1/events", params={"type": FACTS + kind, "order": "asc"}).json()["items"]
    return [item["event"]["data"] for item in items]


def problem(answer, status: int, *pointers: str) -> dict:
    """A problem document with exactly these pointers."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"].startswith("urn:letta-gateway:problem:")
    assert body["status"] == status
    assert [error["pointer"] for error in body["errors"]] == list(pointers)
    return body


# A test event.


def test_a_test_is_a_fact_with_a_position(client, services, mine):
    answer = client.post(mine + "/test")
    assert answer.status_code == 202
    (position,) = answer.json().values()
    item = client.get(f"/v1/events/{position}").json()
    assert item["event"]["type"] == FACTS + "test"
    assert item["event"]["subject"] == mine.rpartition("/")[2]
    assert asyncio.run(services.log.get(position)).addressee == 1
    # Each is one of its own.
    assert client.post(mine + "/test", json={}).json() == {"position": position + 1}


def test_a_paused_stream_is_tested_when_it_goes_on_and_a_disabled_one_is_not(client, mine, disable):
    client.post(mine + "/pause")
    assert client.post(mine + "/test").status_code == 202
    disable()
    found = problem(client.post(mine + "/test"), 409)
    assert "Resume it first" in found["detail"]


# Replays.


def test_a_replay_says_what_it_is_and_is_listed_while_it_runs(client, mine, publish):
    positions = publish(4)
    answer = client.post(mine + "/replay", json={"from_position": positions[1], "only": "failed"})
    assert answer.status_code == 202
    found = answer.json()
    assert found["id"] == positions[-1] + 1
    assert (found["from_position"], found["until_position"]) == (positions[1], positions[-1])
    assert (found["state"], found["only"], found["revision"]) == ("running", "failed", 1)
    assert (found["cursor"], found["open"], found["ended_at"]) == (positions[0], 0, None)
    listed = client.get(mine + "/replays").json()
    assert listed == {"items": [found], "next": None}
    (fact,) = facts(client, "replay_requested")
    assert (fact["from_position"], fact["until_position"]) == (positions[1], positions[-1])


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"from_position": 1}, 4),
        ({"from_position": 3}, 3),
        ({"from_position": 3, "until_position": 3}, 1),
        ({"from_position": 2, "until_position": 999}, 4),
        ({"since": "2000-01-01T00:00:00Z"}, 4),
        ({"since": "2000-01-01T00:00:00Z", "until": "2001-01-01T00:00:00Z"}, 0),
        ({"since": "2000-01-01T01:00:00+01:00", "until": "2999-01-01T00:00:00Z", "only": "all"}, 4),
        ({"from_position": 1, "only": "failed"}, 2),
        ({"from_position": 3, "only": "failed"}, 1),
    ],
)
def test_a_dry_run_counts_and_asks_for_nothing(client, mine, publish, journal, asked, count):
    first, second, third, _ = publish(4)
    journal(
        attempts=[
            attempt(1, first, decision=Decision.EXHAUSTED, status=500),
            attempt(1, second),
            attempt(1, third, decision=Decision.REFUSED, status=None),
        ]
    )
    answer = client.post(mine + "/replay", json=asked | {"dry_run": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == count
    assert client.get(mine + "/replays").json()["items"] == []
    assert facts(client, "replay_requested") == []


def test_a_dry_run_counts_what_is_selected_now_and_no_fact_or_test(client, mine, publish):
    publish(3)
    publish(2, "t.b")
    client.post(mine + "/test")
    assert client.post(mine + "/replay", json={"from_position": 1, "dry_run": True}).json()["count"] == 5
    client.patch(mine, json={"types": ["t.b"]})
    assert client.post(mine + "/replay", json={"from_position": 1, "dry_run": True}).json()["count"] == 2


@pytest.mark.parametrize(
    ("asked", "pointers"),
    [
        (None, ["/from_position"]),
        ({}, ["/from_position"]),
        ({"from_position": 1, "since": "2026-01-01T00:00:00Z"}, ["/from_position"]),
        ({"from_position": 0}, ["/from_position"]),
        ({"from_position": "1"}, ["/from_position"]),
        ({"from_position": True}, ["/from_position"]),
        ({"from_position": 1, "until_position": 0}, ["/until_position"]),
        ({"from_position": 2, "until_position": 1}, ["/until_position"]),
        (
            {"from_position": 1, "until_position": 2, "until": "2026-01-01T00:00:00Z"},
            ["/until_position"],
        ),
        ({"since": "yesterday"}, ["/since"]),
        ({"since": "2026-01-01"}, ["/since"]),
        ({"since": 1}, ["/since"]),
        ({"from_position": 1, "until": "2026-01-01T00:00:00"}, ["/until"]),
        ({"from_position": 1, "only": "some"}, ["/only"]),
        ({"from_position": 1, "only": None, "dry_run": "yes"}, ["/dry_run"]),
        ({"from_position": 1, "colour": "red"}, ["/colour"]),
        ({"since": "x", "until": 5, "only": 1, "dry_run": 1}, ["/since", "/until", "/only", "/dry_run"]),
        ({"from_position": 99}, ["/from_position"]),
        ({"since": "2999-01-01T00:00:00Z"}, ["/since"]),
    ],
)
def test_what_is_no_replay(client, mine, publish, asked, pointers):
    publish()
    answer = client.post(mine + "/replay", json=asked) if asked is not None else client.post(mine + "/replay")
    problem(answer, 422, *pointers)
    assert client.get(mine + "/replays").json()["items"] == []


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"\xff", 400), (b"[1]", 422), (b"7", 422)])
def test_a_body_that_is_no_object(client, mine, body, status):
    answer = client.post(mine + "/replay", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_another_media_type(client, mine):
    problem(client.post(mine + "/replay", content=b"x", headers={"content-type": "text/plain"}), 415)


def test_a_disabled_stream_is_counted_and_not_replayed(client, mine, publish, disable):
    publish(2)
    disable()
    problem(client.post(mine + "/replay", json={"from_position": 1}), 409)
    assert client.post(mine + "/replay", json={"from_position": 1, "dry_run": True}).json()["count"] == 2


def test_a_replay_is_cancelled_once_and_by_its_own_subscription(client, mine, publish):
    publish()
    other = "/v1/subscriptions/" + client.post("/v1/subscriptions", json={"sink": SINK}).json()["id"]
    replay = client.post(mine + "/replay", json={"from_position": 1}).json()["id"]
    problem(client.delete(f"{other}/replays/{replay}"), 404)
    assert client.delete(f"{mine}/replays/{replay}").status_code == 204
    problem(client.delete(f"{mine}/replays/{replay}"), 404)
    assert client.get(mine + "/replays").json()["items"] == []
    ended = client.get(f"{mine}/replays/{replay}").json()
    assert (ended["id"], ended["state"], ended["ended_at"] is None) == (replay, "cancelled", False)
    problem(client.get(f"{other}/replays/{replay}"), 404)
    assert [fact["replay"] for fact in facts(client, "replay_cancelled")] == [replay]


@pytest.mark.parametrize("replay", ["0", "-1", "x", str(2**63)])
def test_no_such_replay(client, mine, replay):
    problem(client.delete(f"{mine}/replays/{replay}"), 422, "replay_id")


def test_of_a_subscription_that_is_not_there_or_deleted(client, mine, publish):
    publish()
    client.delete(mine)
    for path in (mine, "/v1/subscriptions/sub_nothing"):
        problem(client.post(path + "/test"), 404)
        problem(client.post(path + "/replay", json={"from_position": 1}), 404)
        problem(client.post(path + "/replay", json={"from_position": 1, "dry_run": True}), 404)
        problem(client.get(path + "/replays"), 404)
        problem(client.delete(path + "/replays/1"), 404)


# One more attempt.


@pytest.fixture
def delivery(client, publish):
    """The path of the one delivery of a new event, once something was journaled of it."""

    def run():
        (position,) = publish()

        def path() -> str:
            (found,) = client.get(f"/v1/events/{position}/deliveries").json()["items"]
            return f"/v1/deliveries/{found['id']}"

        return position, path

    return run


@pytest.mark.parametrize("decision", [Decision.EXHAUSTED, Decision.DELIVERED, Decision.EXPIRED])
def test_what_has_ended_begins_another_round(client, mine, journal, delivery, decision):
    assert mine
    position, path = delivery()
    journal(attempts=[attempt(1, position, decision=decision)])
    answer = client.post(path() + "/retry")
    assert answer.status_code == 202
    assert answer.json() == {"id": path().rpartition("/")[2], "position": position}
    found = client.get(path()).json()
    assert (found["state"], found["round"], len(found["attempts"])) == ("pending", 1, 1)
    assert [fact["position"] for fact in facts(client, "retry_requested")] == [position]
    # Asked for twice before it began, it is still one.
    assert client.post(path() + "/retry", json={}).status_code == 202
    assert client.get(path()).json()["round"] == 1


def test_what_waits_is_due_now(client, mine, journal, delivery):
    assert mine
    position, path = delivery()
    waits = PendingDelivery(1, position, attempts=1, failures=1, first_at_us=NOW_US, next_at_us=FAR_US)
    journal(attempts=[attempt(1, position, decision=Decision.FAILED, next_at_us=FAR_US)], pending=[waits])
    later = client.get(path()).json()["next_at"]
    assert client.post(path() + "/retry").status_code == 202
    found = client.get(path()).json()
    assert found["next_at"] < later
    assert (found["state"], found["round"]) == ("pending", 0)


def test_one_attempt_at_a_time(client, mine, journal, delivery):
    assert mine
    position, path = delivery()
    journal(pending=[PendingDelivery(1, position, first_at_us=NOW_US)])
    problem(client.post(path() + "/retry"), 409)
    assert facts(client, "retry_requested") == []


def test_a_disabled_or_deleted_stream_makes_no_attempt(client, mine, journal, delivery, disable):
    position, path = delivery()
    journal(attempts=[attempt(1, position, decision=Decision.EXHAUSTED)])
    kept = path()
    disable()
    assert "Resume it first" in problem(client.post(kept + "/retry"), 409)["detail"]
    client.delete(mine)
    assert "deleted" in problem(client.post(kept + "/retry"), 410)["detail"]
    # What was tried is kept, and can still be read (S3h).
    assert client.get(kept).json()["state"] == "exhausted"


@pytest.mark.parametrize("unknown", ["dlv_", "nothing", "dlv_" + "a" * 36, "%00", "dlv_" + "7" * 300])
def test_no_such_delivery(client, unknown):
    problem(client.post(f"/v1/deliveries/{unknown}/retry"), 404)


def test_what_was_never_tried_cannot_be_tried_again(client, mine, journal, delivery):
    position, path = delivery()
    journal(attempts=[attempt(1, position)])
    known = path()
    other = client.post("/v1/subscriptions", json={"sink": SINK}).json()
    assert mine != other["id"]
    # The same event, of a subscription that never had it: the number is in the id.
    reference = parse_delivery_id(known.rpartition("/")[2])
    assert reference is not None
    foreign = delivery_id(2, position, reference.hash6)
    problem(client.post(f"/v1/deliveries/{foreign}/retry"), 404)


def test_nothing_is_replayed_to_one_that_is_only_pulled(client, publish):
    publish()
    pulled = client.post("/v1/subscriptions", json={"sink": "pull:"}).json()["id"]
    for more in ({}, {"dry_run": True}):
        answer = client.post(f"/v1/subscriptions/{pulled}/replay", json={"from_position": 1} | more)
        assert (answer.status_code, "only pulled" in answer.json()["detail"]) == (409, True)


def test_a_test_event_for_one_that_is_only_pulled_is_there_to_be_fetched(client):
    pulled = client.post("/v1/subscriptions", json={"sink": "pull:"}).json()["id"]
    position = client.post(f"/v1/subscriptions/{pulled}/test").json()["position"]
    (event,) = client.get(f"/v1/subscriptions/{pulled}/stream?after={position - 1}").json()
    assert event["type"] == "com.letta.gateway.subscription.test"


def test_a_replay_until_before_it_begins(client, mine):
    body = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    answer = client.post(f"{mine}/replay", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"pointer": "/until", "detail": "must not lie before `since`"}]
