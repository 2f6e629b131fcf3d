"""`/v1/subscriptions/{id}/stats`: how a stream is doing."""

import json

import pytest
from journaled import attempt

from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.facts import rfc3339
from gateway.domain.pending import PendingDelivery
from gateway.ports import CursorUpdate, JournalBatch

S = "/v1/subscriptions"
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


@pytest.fixture
def publish(client):
    numbers = iter(range(1_000))

    def run(*types):
        events = [
            {"specversion": "1.0", "id": str(next(numbers)), "source": "/s", "type": type_} for type_ in types
        ]
        answer = client.post("/v1/events", content=json.dumps(events), headers=BATCH)
        return answer.json()["positions"]

    return run


@pytest.fixture
def made(client):
    """A subscription to `t.a`."""
    answer = client.post(S, json={"sink": "http://127.0.0.1:9/hook", "types": ["t.a"]})
    return answer.json()["id"]


@pytest.fixture
def stats(client, made):
    def run(**params):
        answer = client.get(f"{S}/{made}/stats", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return run


@pytest.fixture
def journal(client, services):
    def run(attempts=(), pending=(), cursor=None, routed=0, notes=()):
        cursors = [] if cursor is None else [CursorUpdate(1, cursor, live=False)]
        batch = JournalBatch(attempts, pending, (), cursors, routed, (), notes)
        client.portal.call(services.deliveries.commit, batch)

    return run


def test_of_a_stream_that_has_had_nothing_to_do(client, services, made, stats, journal):
    head = client.portal.call(services.log.head).position
    journal(cursor=head, routed=head)
    found = stats()
    assert (found["subscription"], found["state"], found["pending"]) == (made, "active", 0)
    assert found["attempts"]["total"] == 0
    assert found["rates"]["delivered_ratio"] is None
    assert found["latency_ms"] == {
        "count": 0,
        "p50": None,
        "p90": None,
        "p95": None,
        "p99": None,
        "max": None,
    }
    assert found["lag"] == {"events": 0, "seconds": 0.0}
    assert found["oldest_undelivered"] is None
    assert found["breaker"]["state"] == "closed"
    assert found["window"]["seconds"] == 3_600


def test_rates_and_latency(client, services, publish, stats, journal):
    positions = publish("t.a", "t.a", "t.a")
    appended = client.portal.call(services.log.get, positions[0]).appended_at_us
    failed = {"decision": Decision.EXHAUSTED, "counts": True, "status": 422}
    journal(
        [
            attempt(1, positions[0], started_at_us=appended + 80_000, duration_us=20_000),
            attempt(1, positions[1], started_at_us=appended + 180_000, duration_us=20_000),
            attempt(1, positions[2], started_at_us=appended, duration_us=20_000, **failed),
        ],
        cursor=positions[-1],
    )
    found = stats(window_s=100)
    assert found["attempts"] | {"total": 3, "delivered": 2, "exhausted": 1} == found["attempts"]
    assert found["rates"]["attempts_per_s"] == 0.03
    assert found["rates"]["delivered_per_s"] == 0.02
    assert found["rates"]["ended_undelivered_per_s"] == 0.01
    assert found["rates"]["delivered_ratio"] == 0.6667
    assert (found["latency_ms"]["p50"], found["latency_ms"]["max"]) == (100.0, 200.0)
    assert found["answer_ms"]["count"] == 3
    assert stats(window_s=1)["window"]["seconds"] == 1


def test_lag_counts_positions_and_the_oldest_is_one_of_its_own(publish, stats, journal):
    first, *_, last = publish("t.b", "t.b", "t.a", "t.b")
    journal(cursor=first - 1)
    found = stats()
    assert found["lag"]["events"] == last - first + 1
    assert found["oldest_undelivered"]["position"] == first + 2
    assert found["oldest_undelivered"]["exact"] is True
    journal(cursor=first + 2)
    assert stats()["oldest_undelivered"] is None
    assert stats()["lag"]["events"] == 1


def test_what_waits_for_another_attempt_is_older_than_what_is_ahead(publish, stats, journal):
    one, two = publish("t.a", "t.a")
    journal([], [PendingDelivery(1, one, attempts=1, failures=1, next_at_us=9)], cursor=one)
    found = stats()
    assert (found["pending"], found["oldest_undelivered"]["position"]) == (1, one)
    assert found["lag"]["events"] == two - one


def test_what_is_looked_at_ahead_has_a_bound(publish, stats, journal):
    first, *_ = publish(*["t.b"] * 10)
    for _ in range(10):
        publish(*["t.b"] * 10)
    journal(cursor=first - 1)
    oldest = stats()["oldest_undelivered"]
    assert (oldest["position"], oldest["exact"]) == (first + 99, False)


def test_the_breaker(stats, journal):
    journal(notes=[StreamNote(1, failing_since_us=1, opened_at_us=2, probe_at_us=3, probes=4)])
    assert stats()["breaker"] == {
        "state": "open",
        "failing_since": "1970-01-01T00:00:00.000001Z",
        "opened_at": "1970-01-01T00:00:00.000002Z",
        "probe_at": "1970-01-01T00:00:00.000003Z",
        "probes": 4,
    }


def test_a_pause_that_the_sink_has_asked_for(services, stats, journal):
    until_us = services.now() + 60_000_000
    journal(notes=[StreamNote(1, failing_since_us=1, waits_until_us=until_us)])
    assert stats()["waits_until"] == rfc3339(until_us)
    journal(notes=[StreamNote(1, failing_since_us=1, waits_until_us=5)])
    assert stats()["waits_until"] is None


def test_where_events_are_fetched_nothing_lags(client, publish):
    made = client.post(S, json={"sink": "pull:"}).json()["id"]
    publish("t.a")
    found = client.get(f"{S}/{made}/stats").json()
    assert (found["lag"], found["oldest_undelivered"]) == (None, None)


@pytest.mark.parametrize("window_s", [0, 86_401, "x"])
def test_no_window(client, made, window_s):
    answer = client.get(f"{S}/{made}/stats", params={"window_s": window_s})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "window_s"
