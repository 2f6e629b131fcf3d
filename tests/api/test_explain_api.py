"""`/v1/events/{position}/explain`: the right reason for everything that can keep an event from a sink."""

import asyncio
import os
from dataclasses import replace

import pytest
from journaled import attempt

from gateway.adapters.sql.commands import SqlStreamCommands
from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.ports import CursorUpdate, JournalBatch, ReplayRange, SubscriptionState

SINK = "http://127.0.0.1:9/hook"
NOW_US = 1_767_225_600_000_000
AT = "2026-01-01T00:00:00.000000Z"


FAILED = {"decision": Decision.FAILED, "counts": True, "status": 503, "next_at_us": NOW_US + 5_000_000}


@pytest.fixture
def ask(client):
    def run(position: int, subscription: str) -> dict:
        answer = client.get(f"/v1/events/{position}/explain", params={"subscription": subscription})
        assert answer.status_code == 200, answer.text
        return answer.json()

    return run


@pytest.fixture
def verdict(ask):
    """The verdict in one word, the sentence having been looked at for another."""

    def run(position: int, subscription: str, said: str = "") -> str:
        answer = ask(position, subscription)
        assert said in answer["sentence"]
        return answer["verdict"]

    return run


@pytest.fixture
def make(client):
    """A subscription by its id."""

    def run(**members) -> str:
        return client.post("/v1/subscriptions", json={"sink": SINK} | members).json()["id"]

    return run


@pytest.fixture
def publish(client):
    """An event by its position."""

    def run(**attributes) -> int:
        publish.count += 1
        event = {"specversion": "1.0", "id": str(publish.count), "source": "/s", "type": "t.a"} | attributes
        answer = client.post(
            "/v1/events", json=event, headers={"content-type": "application/cloudevents+json"}
        )
        return answer.json()["positions"][0]

    publish = run
    run.count = 0
    return run


@pytest.fixture
def commands(database):
    """What the API asks of a stream."""
    return SqlStreamCommands(database, fact_source="/gateway", now=lambda: NOW_US, random=os.urandom)


@pytest.fixture
def journal(services):
    """What an engine would have written."""

    def run(**members) -> None:
        batch = replace(JournalBatch((), (), (), (), 0), **members)
        asyncio.run(services.deliveries.commit(batch))

    return run


def test_a_filter_that_does_not_match_is_named_with_what_it_wants_and_what_there_is(ask, make, publish):
    mine = make(filters=[{"prefix": {"type": "t."}}, {"any": [{"exact": {"subject": "x"}}]}])
    position = publish(subject="y")
    answer = ask(position, mine)
    assert answer["verdict"] == "no_match"
    assert answer["sentence"] == "/filters/1/any does not match: none of the 1 filters in `any` matches."
    assert answer["revision"] == {"in_force": 1, "present": 1}
    assert answer["delivery"] is None
    first, second = answer["clauses"]
    assert (first["matches"], second["matches"]) == (True, False)
    assert second["parts"] == [
        {
            "pointer": "/filters/1/any/0/exact/subject",
            "rule": "exact",
            "matches": False,
            "detail": "subject 'y' is not 'x'",
            "attribute": "subject",
            "expected": "x",
            "actual": "y",
            "parts": [],
        }
    ]


def test_s3d_the_filters_of_an_earlier_revision(client, ask, verdict, make, publish):
    mine = make(types=["t.b"])
    position = publish()
    client.patch(f"/v1/subscriptions/{mine}", json={"types": ["t.a"]})
    answer = ask(position, mine)
    assert answer["verdict"] == "earlier_revision"
    assert answer["revision"] == {"in_force": 1, "present": 2}
    assert "Revision 1 was in force there" in answer["sentence"]
    assert "Revision 2 would match, and is in force behind position 3" in answer["sentence"]
    client.patch(f"/v1/subscriptions/{mine}", json={"types": ["t.c"]})
    assert verdict(position, mine, "revision 1, which was in force there") == "no_match"


def test_s11a_another_organization(verdict, make, publish):
    mine = make(organization="org-1")
    assert verdict(publish(), mine) == "organization"


def test_s1e_facts_that_are_not_asked_for_and_facts_about_who_asks_for_facts(client, verdict, make):
    plain, watcher = make(), make(types=["com.letta.gateway.subscription.paused"])
    client.post(f"/v1/subscriptions/{plain}/pause")
    client.post(f"/v1/subscriptions/{watcher}/pause")
    client.post(f"/v1/subscriptions/{watcher}/resume")
    assert verdict(3, plain) == "gateway_fact"
    assert verdict(3, watcher) == "not_reached"
    assert verdict(4, watcher, "feeds itself") == "feedback"


def test_created_later(verdict, make, publish):
    position = publish()
    mine = make()
    assert verdict(position, mine, "begins behind position 2") == "before_start"
    assert verdict(position, make(types=["t.b"])) == "no_match"


def test_not_reached_and_by_how_much(ask, make, publish, journal):
    mine = make()
    positions = [publish() for _ in range(4)]
    journal(routed=3)
    answer = ask(positions[-1], mine)
    assert (answer["verdict"], answer["lag_events"]) == ("not_reached", 2)
    assert "has come to position 3" in answer["sentence"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"max_per_second": 0.5}, "at most 0.5 a second."),
        (
            {"max_concurrency": 3, "ordering": "partitionkey"},
            "at most 3 at once; one after the other of each",
        ),
        ({"format": "batch", "batch_age_s": 9}, "in batches, each when it is full or has waited 9 s."),
        ({}, "short of having this one behind it."),
    ],
)
def test_not_reached_by_a_stream_that_keeps_limits_of_its_own(ask, make, publish, journal, config, said):
    mine = make(config=config)
    position = publish()
    journal(routed=1)
    answer = ask(position, mine)
    assert answer["verdict"] == "not_reached"
    assert said in answer["sentence"]


@pytest.mark.parametrize(("state", "cause"), [("paused", "a command"), ("disabled", "the sink answered 410")])
def test_a_stream_that_stands_still_says_since_when_and_why(services, ask, make, publish, state, cause):
    mine = make()
    asyncio.run(services.subscriptions.set_state(1, SubscriptionState(state), cause=cause))
    answer = ask(publish(), mine)
    assert answer["verdict"] == state
    assert f"the subscription is {state}" in answer["sentence"]
    assert "position 2" in answer["sentence"]
    assert cause in answer["sentence"]


def test_a_retry_of_a_stream_that_stands_still(client, ask, make, publish, journal):
    mine, position = make(), publish()
    waits = PendingDelivery(1, position, attempts=1, failures=1, next_at_us=NOW_US + 5_000_000)
    journal(attempts=[attempt(1, position, **FAILED)], pending=[waits], routed=position)
    client.post(f"/v1/subscriptions/{mine}/pause")
    answer = ask(position, mine)
    assert answer["verdict"] == "paused"
    assert answer["sentence"].startswith("Attempt 1 failed: the sink answered 503. Attempt 2 waits:")
    assert answer["delivery"]["state"] == "pending"


def test_a_deleted_one_still_says_what_became_of_events(client, verdict, make, publish, journal):
    mine, first, second = make(), publish(), publish(type="t.b")
    journal(attempts=[attempt(1, first)], routed=second)
    client.delete(f"/v1/subscriptions/{mine}")
    assert verdict(first, mine, "Delivered by attempt 1") == "delivered"
    assert verdict(second, mine, "is deleted") == "deleted"
    assert verdict(publish(), mine, "position 4.") == "deleted"


def test_still_waiting_until_when_and_after_which_attempt(ask, make, publish, journal):
    mine, position = make(), publish()
    waits = PendingDelivery(1, position, attempts=1, failures=1, next_at_us=NOW_US + 5_000_000)
    journal(attempts=[attempt(1, position, **FAILED)], pending=[waits], routed=position)
    answer = ask(position, mine)
    assert answer["verdict"] == "waiting"
    assert answer["until"] == "2026-01-01T00:00:05.000000Z"
    assert answer["sentence"] == (
        "Attempt 1 failed: the sink answered 503. Attempt 2 is to come. It is due at 2026-01-01T00:00:05.000000Z."
    )
    assert [item["decision"] for item in answer["delivery"]["attempts"]] == ["failed"]


def test_in_flight(ask, make, publish, journal):
    mine, position = make(), publish()
    journal(pending=[PendingDelivery(1, position)], routed=position)
    answer = ask(position, mine)
    assert (answer["verdict"], answer["sentence"]) == ("in_flight", "Attempt 1 is in flight.")
    assert (answer["delivery"]["state"], answer["delivery"]["attempts"]) == ("pending", [])


def test_delivered_by_which_attempt_and_when(verdict, make, publish, journal):
    mine, position = make(), publish()
    journal(
        attempts=[attempt(1, position, **FAILED), attempt(1, position, attempt=2)],
        routed=position,
    )
    said = f"Delivered by attempt 2 at {AT}: the sink answered 204."
    assert verdict(position, mine, said) == "delivered"


@pytest.mark.parametrize(
    ("decision", "members", "said"),
    [
        ("exhausted", {"status": 422}, "attempt 1 at " + AT + ": the sink answered 422"),
        (
            "exhausted",
            {"status": None, "error_class": "timeout", "detail": "no answer in 5 s"},
            "timeout: no",
        ),
        ("refused", {"status": None, "error_class": "refused", "detail": "10.0.0.1"}, "nowhere to send it"),
        ("expired", {"status": None}, "`expirytime` had passed"),
        ("erased", {"status": None}, "had been erased"),
        ("cancelled", {"status": None}, "Cancelled by a command"),
    ],
)
def test_what_ended_otherwise(verdict, make, publish, journal, decision, members, said):
    mine, position = make(), publish()
    ended = attempt(1, position, decision=Decision(decision), **members)
    journal(attempts=[ended], routed=position)
    assert verdict(position, mine, said) == decision


def test_a_round_that_was_asked_for_is_under_way_whatever_the_last_one_came_to(
    commands, ask, make, publish, journal
):
    mine, position = make(), publish()
    ended = attempt(1, position, decision=Decision.EXHAUSTED, counts=True, status=500)
    journal(attempts=[ended], routed=position)
    asyncio.run(commands.retry(1, position))
    answer = ask(position, mine)
    assert answer["verdict"] == "waiting"
    assert (answer["delivery"]["state"], answer["delivery"]["round"]) == ("pending", 1)


def test_an_earlier_success_is_not_forgotten(verdict, make, publish, journal):
    mine, position = make(), publish()
    later = attempt(1, position, attempt=2, round=1, decision=Decision.EXHAUSTED, counts=True, status=500)
    journal(attempts=[attempt(1, position), later], routed=position)
    assert verdict(position, mine, f"An earlier round had delivered it, at {AT}") == "exhausted"


def test_s3g_an_open_breaker(ask, make, publish, journal):
    mine, position = make(), publish()
    journal(notes=[StreamNote(1, NOW_US, NOW_US, NOW_US + 9_000_000, 1)])
    answer = ask(position, mine)
    assert (answer["verdict"], answer["until"]) == ("breaker_open", "2026-01-01T00:00:09.000000Z")
    assert f"stands still since {AT}" in answer["sentence"]


def test_s2e_too_much_is_pending(monkeypatch, verdict, make, publish, journal):
    monkeypatch.setattr("gateway.views.verdicts.PENDING_MAX", 2)
    mine, first, second = make(), publish(), publish()
    waits = [PendingDelivery(1, position, next_at_us=NOW_US) for position in (first, second)]
    journal(pending=waits, cursors=[CursorUpdate(1, second, live=False)], routed=second)
    assert verdict(publish(), mine, "while 2 deliveries are pending") == "backlogged"


def test_s4b_a_blocked_key(ask, make, publish, journal):
    mine, first, second, other = make(), *(publish(partitionkey=key) for key in "aab")
    head = PendingDelivery(
        1, first, attempts=1, next_at_us=NOW_US + 5_000_000, partition_key="a", blocked_from=first
    )
    journal(attempts=[attempt(1, first, **FAILED)], pending=[head], routed=other)
    answer = ask(second, mine)
    assert (answer["verdict"], answer["blocked_by"]) == ("blocked", first)
    assert ask(other, mine)["verdict"] == "skipped"


def test_s3h_left_out_by_a_resume_from_now(client, verdict, make, publish):
    mine = make(config={"start": "beginning"})
    position = publish()
    client.post(f"/v1/subscriptions/{mine}/resume", json={"from": "now"})
    assert verdict(position, mine, "resumed from now") == "skipped"


def test_a_test_event_goes_to_whom_it_is_addressed(commands, verdict, make):
    mine, other = make(types=["t.b"]), make()
    position = asyncio.run(commands.test(1))
    assert verdict(position, mine) == "not_reached"
    assert verdict(position, other) == "addressed_elsewhere"


def test_an_erased_event(database, ask, make, publish):
    mine, position = make(), publish()
    database.write_now(
        lambda connection: connection.exec_driver_sql(
            "UPDATE log_entry SET envelope = NULL, nonce = NULL WHERE position = ?", (position,)
        )
    )
    answer = ask(position, mine)
    assert (answer["verdict"], answer["clauses"]) == ("erased", [])


def test_s10b_what_is_only_pulled_is_there_to_be_fetched(verdict, make, publish):
    mine = make(sink="pull:", types=["t.a"])
    assert verdict(publish(), mine, "to be fetched") == "pull_only"
    assert verdict(publish(type="t.b"), mine) == "no_match"


def test_nothing_at_this_position(verdict, make):
    mine = make()
    assert verdict(9, mine, "the log ends at 1") == "not_in_log"


def test_no_such_subscription_and_no_such_position(client, make, publish):
    mine, position = make(), publish()
    assert client.get(f"/v1/events/{position}/explain?subscription=sub_none").status_code == 404
    assert client.get(f"/v1/events/{position}/explain").status_code == 422
    for wrong in ("0", "-1", "x", "1" * 30, "²"):
        answer = client.get(f"/v1/events/{wrong}/explain?subscription={mine}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_s5_a_replay_before_the_start_shows_what_it_delivered(commands, verdict, make, publish, journal):
    position = publish()
    mine = make()
    asyncio.run(commands.request_replay(1, ReplayRange(position, position)))
    journal(attempts=[attempt(1, position, round=1, cause="replay", replay=3)], routed=3)
    assert verdict(position, mine) == "delivered"
