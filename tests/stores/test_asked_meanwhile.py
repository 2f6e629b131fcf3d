"""S3h: what a command asks for is not undone by a journal that was made before it, on every backend."""

from dataclasses import replace

import pytest

from gateway.domain import facts
from gateway.domain.delivery import Decision
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, EventQuery, JournalBatch, NewEntry
from schemas import GATEWAY_TYPE_PREFIX


@pytest.fixture
def tried(stores):
    """A subscription to which position 2 was delivered, and for which position 3 waits until tomorrow."""
    spec = SubscriptionSpec(sink="https://example.com/")
    stores.run(
        stores.subscriptions.create(spec, organization="*", privileged=True, secret="whsec_" + "A" * 40)
    )
    entries = [NewEntry(type="t", source="/s", id=str(n), envelope=b"{}") for n in range(3)]
    stores.run(stores.log.append(entries))
    commit(
        stores,
        attempts=[attempt(2, 1), attempt(3, 1, Decision.FAILED, next_at_us=TOMORROW)],
        pending=[PendingDelivery(1, 3, attempts=1, next_at_us=TOMORROW)],
    )
    return stores


TOMORROW = 1 << 60


def attempt(position, number, decision=Decision.DELIVERED, **members) -> AttemptRecord:
    found = AttemptRecord(
        id=f"att_{position}_{number}",
        number=1,
        position=position,
        hash6=b"abcdef",
        attempt=number,
        round=0,
        cause="first",
        decision=decision,
        counts=False,
        started_at_us=1_000,
        duration_us=20,
        revision=1,
        trace_id="t" * 32,
        span_id=f"{position:08d}{number:08d}",
    )
    return replace(found, **members)


def commit(stores, *, attempts=(), pending=(), settled=(), requests=None):
    return stores.run(
        stores.deliveries.commit(JournalBatch(attempts, pending, settled, (), 0, requests=requests or {}))
    )


def row(stores, position) -> PendingDelivery | None:
    found = stores.run(stores.deliveries.pending_at(position))
    return found[0] if found else None


def asked(stores, position) -> int:
    stores.run(stores.commands.retry(1, position))
    query = EventQuery(types=(GATEWAY_TYPE_PREFIX + facts.RETRY_REQUESTED,), ascending=True, limit=100)
    return stores.run(stores.log.search(query))[-1].position


@pytest.mark.parametrize("position", [2, 3])
def test_an_end_that_answers_no_request_begins_the_round_that_was_asked_for(tried, position):
    request = asked(tried, position)
    late = {"attempts": [attempt(position, 2, round=1)], "settled": [(1, position)]}
    for _ in range(2):  # the answer to the first was lost
        assert list(commit(tried, **late)) == [1]
        assert row(tried, position) == PendingDelivery(
            1,
            position,
            round=2,
            attempts=2,
            first_at_us=1_020,
            next_at_us=1_020,
            last_span_id=f"{position:08d}00000002",
            asked=True,
            request=request,
        )
    answering = {"attempts": [attempt(position, 3, round=2)], "settled": [(1, position)]}
    assert list(commit(tried, **answering, requests={(1, position): request})) == []
    assert row(tried, position) is None


def test_what_waits_again_is_due_now_where_it_was_asked_for_meanwhile(tried):
    request = asked(tried, 3)
    due_us = row(tried, 3).next_at_us
    assert due_us < TOMORROW
    again = PendingDelivery(1, 3, attempts=2, next_at_us=TOMORROW)
    failed = attempt(3, 2, Decision.FAILED, next_at_us=TOMORROW)
    assert list(commit(tried, attempts=[failed], pending=[again])) == [1]
    assert row(tried, 3) == replace(again, next_at_us=due_us, request=request)
    failed = attempt(3, 3, Decision.FAILED, next_at_us=TOMORROW)
    known = replace(again, attempts=3, request=request)
    assert list(commit(tried, attempts=[failed], pending=[known])) == []
    assert row(tried, 3) == known


@pytest.mark.parametrize("position", [2, 3])
@pytest.mark.parametrize("again", [False, True])
def test_what_was_in_flight_when_it_was_asked_for_keeps_that_until_it_ends(tried, position, *, again):
    request = asked(tried, position)
    flying = PendingDelivery(1, position, round=1, attempts=1)
    assert list(commit(tried, pending=[flying])) == [1]
    assert row(tried, position) == replace(flying, request=request)
    if again:
        failed = attempt(position, 2, Decision.FAILED, round=1, next_at_us=TOMORROW)
        waits = replace(flying, attempts=2, next_at_us=TOMORROW)
        assert list(commit(tried, attempts=[failed], pending=[waits])) == [1]
        assert row(tried, position) == replace(waits, next_at_us=1_020, request=request)
    else:
        assert list(commit(tried, attempts=[attempt(position, 2, round=1)], settled=[(1, position)])) == [1]
        assert (row(tried, position).round, row(tried, position).asked) == (2, True)


def test_a_stream_that_was_deleted_meanwhile_keeps_nothing_that_was_asked_for(tried):
    asked(tried, 3)
    tried.run(tried.subscriptions.delete(1))
    commit(tried, attempts=[attempt(3, 2, round=1)], settled=[(1, 3)])
    assert row(tried, 3) is None
