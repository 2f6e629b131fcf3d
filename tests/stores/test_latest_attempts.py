"""The attempts of a subscription's latest events, on every backend: what its figures are made of."""

import pytest
from sqlalchemy.dialects import sqlite as sqlite_dialect

from gateway.adapters.sql.latest_attempts import latest_statement
from gateway.domain.delivery import Decision
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, JournalBatch, NewEntry

SECRET = "whsec_" + "A" * 40


def attempt(number: int, position: int, n: int = 1, **members) -> AttemptRecord:
    standard = {
        "decision": Decision.DELIVERED,
        "round": 0,
        "status": 204,
        "started_at_us": 100 * position + n,
        "replay": None,
        "next_at_us": None,
    }
    return AttemptRecord(
        id=f"att_{number}_{position}_{n}",
        number=number,
        position=position,
        hash6=b"abcdef",
        attempt=n,
        cause="first",
        counts=False,
        duration_us=7,
        revision=1,
        trace_id="t" * 32,
        span_id="s" * 16,
        **(standard | members),
    )


@pytest.fixture
def two(stores):
    """Two subscriptions, and four events behind them: positions 3 to 6."""
    for _ in range(2):
        spec = SubscriptionSpec(sink="https://example.com/")
        stores.run(stores.subscriptions.create(spec, organization="*", privileged=True, secret=SECRET))
    entries = [NewEntry(type="t", source="/s", id=str(n), envelope=b"{}") for n in range(4)]
    stores.run(stores.log.append(entries))
    return stores


def test_backwards_from_the_latest_event_with_when_it_was_appended(two):
    failed = {"decision": Decision.FAILED, "status": None, "next_at_us": 9}
    attempts = [
        attempt(1, 3),
        attempt(2, 4),
        attempt(1, 5, **failed),
        attempt(1, 5, 2),
        attempt(1, 6),
        attempt(1, 6, 2, round=1, replay=99),
    ]
    for item in attempts:  # a commit is known again by its first attempt
        two.run(two.deliveries.commit(JournalBatch([item], (), (), (), 0)))
    found = two.run(two.deliveries.latest(1, 100))
    assert [item.started_at_us for item in found] == [602, 601, 502, 501, 301]
    assert [item.replayed for item in found] == [True, False, False, False, False]
    assert [item.sent for item in found] == [True, True, True, False, True]
    assert found[3].decision is Decision.FAILED
    assert {item.ended_at_us - item.started_at_us for item in found} == {7}
    appended = two.run(two.log.get(6)).appended_at_us
    assert [item.appended_at_us for item in found[:2]] == [appended] * 2
    assert two.run(two.deliveries.latest(1, 2)) == found[:2]
    assert [item.started_at_us for item in two.run(two.deliveries.latest(2, 9))] == [401]
    assert two.run(two.deliveries.latest(3, 9)) == []


def test_what_the_log_does_not_have_any_more_is_told_all_the_same(two):
    two.run(two.deliveries.commit(JournalBatch([attempt(1, 99)], (), (), (), 0)))
    assert [item.appended_at_us for item in two.run(two.deliveries.latest(1, 9))] == [None]


def test_it_is_read_in_the_order_of_an_index(sqlite_stores):
    compiled = latest_statement(1, 1_000).compile(
        dialect=sqlite_dialect.dialect(), compile_kwargs={"literal_binds": True}
    )
    plan = [row.detail for row in sqlite_stores.sql(f"EXPLAIN QUERY PLAN {compiled}")]
    assert any("ix_attempt_delivery" in line for line in plan), plan
    assert any("SEARCH log_entry USING INTEGER PRIMARY KEY" in line for line in plan), plan
    assert not any(line.startswith("SCAN") or "TEMP B-TREE" in line for line in plan), plan
