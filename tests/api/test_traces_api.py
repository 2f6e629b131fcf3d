"""`/v1/events/{position}/trace`, and events by their id."""

import os
import time
from itertools import pairwise

import pytest

from gateway.api import events
from gateway.domain.delivery import Decision
from gateway.domain.facts import rfc3339
from gateway.domain.ids import delivery_id
from gateway.ports import AttemptRecord, JournalBatch, NewEntry
from otel.origin import emitted_span_id, ingested_span_id, origin_of
from schemas import build, parse_structured

TRACE, SPAN = "a" * 32, "b" * 16
NOW_US = time.time_ns() // 1_000
SECOND_US = 1_000_000
PULL = {"sink": "pull:"}


def envelope(**attributes):
    given = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", **attributes}
    return build({name: value for name, value in given.items() if value is not None}, {"n": 1})


@pytest.fixture
def append(client, services):
    def run(event, *, published_at_us=None, organization=None):
        entry = NewEntry(
            type=event.type,
            source=event.source,
            id=event.id,
            envelope=event.raw,
            organization=organization,
            trace_id=None if event.traceparent is None else event.traceparent.split("-")[1],
            published_at_us=published_at_us,
        )
        (appended,) = client.portal.call(services.log.append, [entry])
        return appended.entry

    return run


@pytest.fixture
def journal(client, services):
    def run(entry, number, *attempts):
        batch = JournalBatch(
            attempts=[
                AttemptRecord(
                    id=f"att_{os.urandom(5).hex()}",
                    number=number,
                    position=entry.position,
                    hash6=entry.row_hash[:6],
                    round=0,
                    counts=attempt["decision"] is Decision.FAILED,
                    revision=1,
                    trace_id=TRACE,
                    **attempt,
                )
                for attempt in attempts
            ],
            pending=[],
            settled=[],
            cursors=[],
            routed=0,
        )
        client.portal.call(services.deliveries.commit, batch)

    return run


def test_the_whole_path_of_an_event_that_came_by_the_stream(client, append, journal):
    made = client.post("/v1/subscriptions", json=PULL).json()
    emitted_us = NOW_US - 50_000
    spooled_us, published_us = emitted_us + 200, emitted_us + 8_800 - (emitted_us + 8_800) % 1_000
    event = envelope(
        time=rfc3339(emitted_us),
        sequence=f"{spooled_us * 1_000:020d}",
        traceparent=f"00-{TRACE}-{SPAN}-01",
        subject="step-1",
    )
    entry = append(event, published_at_us=published_us)
    began_us = entry.appended_at_us + 3_000
    journal(
        entry,
        1,
        {
            "attempt": 1,
            "cause": "first",
            "decision": Decision.FAILED,
            "started_at_us": began_us,
            "duration_us": 1_500,
            "span_id": "1" * 16,
            "status": 503,
            "error_class": "503",
            "next_at_us": began_us + SECOND_US,
        },
        {
            "attempt": 2,
            "cause": "retry",
            "decision": Decision.DELIVERED,
            "started_at_us": began_us + SECOND_US,
            "duration_us": 2_500,
            "span_id": "2" * 16,
            "status": 204,
        },
    )
    told = client.get(f"/v1/events/{entry.position}/trace").json()
    assert told["event"] == {"id": "e1", "source": "/s", "type": "t", "subject": "step-1"}
    assert (told["trace_id"], told["span_id"], told["sampled"]) == (TRACE, SPAN, True)
    assert (told["trace_begins"], told["came_by"], told["clocks_differ"]) == ("producer", "stream", False)
    steps = {step["step"]: step for step in told["steps"]}
    assert list(steps) == ["emitted", "spooled", "published", "appended", "matched"]
    assert [step["since_begin_ms"] for step in told["steps"]] == [
        0,
        0.2,
        (published_us - emitted_us) / 1_000,
        (entry.appended_at_us - emitted_us) / 1_000,
        None,
    ]
    assert steps["emitted"]["span_id"] == SPAN
    assert steps["appended"]["span_id"] == ingested_span_id(origin_of(event), event, from_stream=True)
    assert "not written down" in steps["matched"]["unknown"]
    assert [gap["name"] for gap in told["gaps"]] == ["emit", "spool", "stream"]
    (delivery,) = told["deliveries"]
    assert delivery["id"] == delivery_id(1, entry.position, entry.row_hash)
    assert (delivery["subscription"], delivery["state"]) == (made["id"], "delivered")
    assert [gap["name"] for gap in delivery["gaps"]] == ["match and queue", "retry delay"]
    first, second = delivery["attempts"]
    assert (first["trace_id"], first["span_id"], first["after"]) == (TRACE, "1" * 16, None)
    assert second["after"] == {"trace_id": TRACE, "span_id": "1" * 16}
    # It adds up, to the microsecond: gaps and attempts from the beginning to the end.
    parts = [gap["duration_ms"] for gap in (*told["gaps"], *delivery["gaps"])]
    parts += [attempt["duration_ms"] for attempt in delivery["attempts"]]
    assert round(sum(parts), 3) == round(delivery["duration_ms"], 3) == round(told["duration_ms"], 3)
    assert told["next"] is None


def test_what_is_not_known_is_said_and_why(client, append):
    entry = append(envelope())
    told = client.get(f"/v1/events/{entry.position}/trace").json()
    assert (told["came_by"], told["trace_begins"]) == ("http", "gateway")
    unknown = {step["step"]: step["unknown"] for step in told["steps"]}
    assert unknown == {
        "emitted": "the event says no time",
        "spooled": "it did not come through an emitter's spool",
        "published": "it did not come by the stream",
        "appended": None,
        "matched": unknown["matched"],
    }
    assert told["gaps"] == told["deliveries"] == []
    assert told["duration_ms"] == 0
    # The trace begins with the ingest span, which is what its attempts stand below.
    appended = next(step for step in told["steps"] if step["step"] == "appended")
    assert (appended["trace_id"], appended["span_id"]) == (told["trace_id"], told["span_id"])


def test_who_began_the_trace(client, append):
    emitted = envelope(id="e2", traceparent=f"00-{TRACE}-{emitted_span_id('e2')}-00")
    told = client.get(f"/v1/events/{append(emitted).position}/trace").json()
    assert (told["trace_begins"], told["sampled"]) == ("emitter", False)


def test_clocks_that_differ_are_not_hidden(client, append):
    entry = append(envelope(time="2126-01-01T00:00:00Z"))
    told = client.get(f"/v1/events/{entry.position}/trace").json()
    assert told["clocks_differ"]
    assert told["gaps"][0]["name"] == "before the log"
    assert told["gaps"][0]["duration_ms"] < 0


def test_a_fact_has_a_path_as_well(client):
    client.post("/v1/subscriptions", json=PULL)
    told = client.get("/v1/events/1/trace").json()
    assert (told["came_by"], told["event"]["type"]) == ("gateway", "com.letta.gateway.subscription.created")


def test_deliveries_come_in_pages(client, append, journal):
    for _ in range(3):
        client.post("/v1/subscriptions", json=PULL)
    entry = append(envelope())
    for number in (1, 2, 3):
        attempt = {"attempt": 1, "cause": "first", "decision": Decision.DELIVERED, "span_id": SPAN}
        journal(entry, number, {**attempt, "started_at_us": NOW_US + 5 * SECOND_US, "duration_us": 1})
    path = f"/v1/events/{entry.position}/trace"
    first = client.get(path, params={"limit": 2}).json()
    second = client.get(path, params={"limit": 2, "cursor": first["next"]}).json()
    assert [len(page["deliveries"]) for page in (first, second)] == [2, 1]
    assert second["next"] is None
    assert client.get(path, params={"cursor": "x"}).status_code == 400


@pytest.mark.parametrize("position", ["999", "0", "x", "1" * 40])
def test_where_no_event_is_there_is_no_path(client, position):
    answer = client.get(f"/v1/events/{position}/trace")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("There is no event at this position.")


def test_an_event_is_found_by_its_id_and_by_the_trace_that_its_attempts_have(client):
    headers = {"Content-Type": "application/cloudevents+json"}
    event = {"specversion": "1.0", "id": "find-me", "source": "/s", "type": "com.example.x"}
    other = {**event, "id": "other"}
    for one in (event, other):
        assert client.post("/v1/events", json=one, headers=headers).status_code == 202
    (item,) = client.get("/v1/events", params={"id": "find-me"}).json()["items"]
    assert item["event"] == event
    trace_id = origin_of(parse_structured(str(event).replace("'", '"').encode())).trace.trace_id
    (same,) = client.get("/v1/events", params={"trace_id": trace_id}).json()["items"]
    assert same == item
    assert client.get("/v1/events", params={"id": "not-there"}).json() == {"items": [], "next": None}
    assert client.get("/v1/events", params={"id": "a\0b"}).json() == {"items": [], "next": None}
    assert client.get("/v1/events", params={"id": "x", "cursor": "y"}).status_code == 400


@pytest.mark.parametrize("trace_id", ["zz", "0" * 31, "0" * 33, "g" * 32, f"00-{'1' * 32}-{'2' * 16}-01"])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/stream", "/v1/deliveries"])
def test_what_can_be_no_traces_id_is_no_filter(client, path, trace_id):
    answer = client.get(path, params={"trace_id": trace_id})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "trace_id"
    assert error["detail"].startswith("32 hex digits")


def test_a_long_log_is_looked_through_in_pages(client, append, monkeypatch):
    monkeypatch.setattr(events, "_ROWS_LOOKED_AT", 2)
    for number in range(5):
        append(envelope(id=f"e{number}"))
    pages = [client.get("/v1/events", params={"id": "e0"}).json()]
    while pages[-1]["next"]:
        pages.append(client.get("/v1/events", params={"id": "e0", "cursor": pages[-1]["next"]}).json())
    assert [len(page["items"]) for page in pages] == [0, 0, 1]


def test_an_id_goes_without_other_filters(client):
    answer = client.get("/v1/events", params={"id": "x", "type": "y"})
    assert answer.status_code in {400, 422}
    assert "without other filters" in answer.json()["detail"]


def test_the_steps_are_in_the_order_in_which_they_happen(client, append):
    entry = append(envelope(time="2026-01-01T00:00:00Z"), published_at_us=NOW_US - 5 * SECOND_US)
    told = client.get(f"/v1/events/{entry.position}/trace").json()
    known = [step["since_begin_ms"] for step in told["steps"] if step["since_begin_ms"] is not None]
    assert all(before <= after for before, after in pairwise(known))
