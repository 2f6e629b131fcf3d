"""Erasure, on every backend (S8b): what goes, what stays, step by step, and how it shows."""

import itertools
import json

import pytest

from gateway.adapters.sql import erasing, erasing_events
from gateway.adapters.sql.verify import verify_log
from gateway.domain.delivery import Decision
from gateway.domain.erasure import NO_TRACE, ROWS_MAX, Scope, Target
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription_input import parse_subscription
from gateway.errors import Conflict, NotFound
from gateway.ports import AttemptRecord, ErasureState, EventQuery, JournalBatch, NewEntry, NewQuarantine

AGENT, OTHER = "agent-1", "agent-2"
THE_AGENT = Target(Scope.AGENT, AGENT)
TRACE = "ab" * 16
START_US = 1_767_225_600_000_000


def event(number: int, agent: str | None = AGENT, **members) -> NewEntry:
    source = "https://letta/organizations/org-1" + ("" if agent is None else f"/agents/{agent}")
    envelope = {"specversion": "1.0", "id": f"evt-{number}", "source": source, "type": "t"}
    found = {
        "type": "t",
        "source": source,
        "id": f"evt-{number}",
        "envelope": json.dumps(envelope | {"subject": f"step-{number}"}).encode(),
        "subject": f"step-{number}",
        "organization": "org-1",
        "agent_id": agent,
        "run_id": "run-1",
        "trace_id": TRACE,
    }
    return NewEntry(**(found | members))


def attempt(position: int, number: int = 1, count: int = 1, **members) -> AttemptRecord:
    found = {
        "id": f"att_{number}_{position}_{count}",
        "number": number,
        "position": position,
        "hash6": b"123456",
        "attempt": count,
        "round": 0,
        "cause": "first",
        "decision": Decision.DELIVERED,
        "counts": False,
        "started_at_us": START_US,
        "duration_us": 10,
        "revision": 1,
        "trace_id": TRACE,
        "span_id": "cd" * 8,
        "status": 200,
        "detail": "what was said",
        "response_headers": (("X-Echo", AGENT),),
        "response_body": b"echo of agent-1",
    }
    return AttemptRecord(**(found | members))


def journal(stores, *attempts: AttemptRecord, pending=()) -> None:
    stores.run(stores.deliveries.commit(JournalBatch(attempts, pending, (), (), 0)))


def put(stores, *entries: NewEntry) -> list[int]:
    return [item.position for item in stores.run(stores.log.append(entries))]


def subscribe(stores) -> int:
    asked, problems = parse_subscription({"sink": "https://x.example/hook", "config": {"start": "beginning"}})
    assert not problems
    made = stores.run(
        stores.subscriptions.create(asked.spec, organization="*", privileged=True, secret="whsec_" + "A" * 32)
    )
    return made.number


def erase(stores, target: Target = THE_AGENT):
    """Command it and see it through; the record at the end, and whose deliveries were brought forward."""
    record = stores.run(stores.erasures.request(target))
    return finish(stores, record.id)


def finish(stores, erasure_id: str):
    numbers: set[int] = set()
    while True:
        step = stores.run(stores.erasures.step(erasure_id))
        numbers |= step.numbers
        if step.finished:
            return stores.run(stores.erasures.get(erasure_id)), numbers


def facts(stores, kind: str) -> list[dict]:
    query = EventQuery(types=(f"com.letta.gateway.{kind}",), ascending=True, limit=500)
    return [json.loads(entry.envelope) for entry in stores.run(stores.log.search(query))]


def test_an_erased_event_is_empty_and_the_others_are_as_they_were(stores):
    positions = put(stores, event(1), event(2, OTHER), event(3))
    before = stores.run(stores.log.get_many(positions))
    record, _ = erase(stores)
    assert (record.state, record.events) == (ErasureState.FINISHED, 2)
    for position in (1, 3):
        entry, was = stores.run(stores.log.get(position)), before[position]
        assert (entry.envelope, entry.source, entry.id) == (None, "", "")
        kept = ("position", "kind", "type", "organization", "appended_at_us", "row_hash")
        assert [getattr(entry, name) for name in kept] == [getattr(was, name) for name in kept]
    assert stores.run(stores.log.get(2)) == before[2]


def test_that_a_contract_was_broken_says_nothing_of_anybody_and_stays(stores):
    put(stores, event(1, contract_broken=True), event(2))
    erase(stores)
    rows = stores.run(stores.log.read(0, 2))
    assert [(row.envelope, row.contract_broken) for row in rows] == [(None, True), (None, False)]


@pytest.mark.parametrize(
    "query",
    [
        EventQuery(agent_id=AGENT),
        EventQuery(subject="step-1"),
        EventQuery(run_id="run-1"),
        EventQuery(trace_id=TRACE),
        EventQuery(source="https://letta/organizations/org-1/agents/agent-1"),
    ],
)
def test_it_is_found_by_nothing_any_more(stores, query):
    put(stores, event(1))
    assert len(stores.run(stores.log.search(query))) == 1
    erase(stores)
    assert stores.run(stores.log.search(query)) == []
    assert stores.run(stores.log.read_key(AGENT, 0, 100, 10)) == []
    # That there was something shows: its place, its type, whose organization's.
    [left] = stores.run(stores.log.search(EventQuery(organization_id="org-1")))
    assert (left.position, left.type, left.envelope) == (1, "t", None)


def test_an_event_that_is_only_ordered_by_the_agent_goes_with_it(stores):
    put(stores, event(1, None, partition_key=AGENT), event(2, None, partition_key="job-1"))
    record, _ = erase(stores)
    assert record.events == 1
    assert stores.run(stores.log.get(1)).envelope is None
    assert stores.run(stores.log.get(2)).envelope is not None


def test_an_organization_goes_whole_with_events_of_no_agent_and_no_other_one(stores):
    subscribe(stores)  # its fact is at position 1
    put(stores, event(1), event(2, None), event(3, organization="org-2"), event(4, organization=None))
    record, _ = erase(stores, Target(Scope.ORGANIZATION, "org-1"))
    assert record.events == 2
    found = {entry.position: entry.envelope is None for entry in stores.run(stores.log.read(0, 10))}
    assert [position for position, empty in found.items() if empty] == [2, 3]
    assert len(facts(stores, "subscription.created")) == 1


def test_what_comes_afterwards_is_new_and_what_is_repeated_is_known(stores):
    put(stores, event(1))
    record = stores.run(stores.erasures.request(THE_AGENT))
    [later] = put(stores, event(2))  # behind the command, before it is done
    finish(stores, record.id)
    assert stores.run(stores.log.get(later)).envelope is not None
    [again] = stores.run(stores.log.append([event(1)]))
    assert (again.position, again.duplicate) == (1, True)
    assert stores.run(stores.log.get(1)).envelope is None


def test_the_facts_say_what_was_erased_and_not_whose(stores):
    put(stores, event(1), event(2), event(3, OTHER), event(4))
    record, _ = erase(stores)
    [requested] = facts(stores, "erasure.requested")
    assert requested["subject"] == record.id
    assert requested["data"] == {"erasure": record.id, "scope": "agent", "until_position": 4}
    [erased] = facts(stores, "erased")
    assert erased["data"]["positions"] == [[1, 2], [4, 4]]
    assert erased["data"]["count"] == 3
    [done] = facts(stores, "erasure.finished")
    assert done["data"] == {"erasure": record.id, "events": 3, "attempts": 0, "quarantined": 0}
    assert AGENT not in json.dumps([requested, erased, done])


def test_answers_go_and_outcomes_stay(stores):
    subscribe(stores)
    [mine, theirs] = put(stores, event(1), event(2, OTHER))
    journal(stores, attempt(mine), attempt(theirs))
    record, _ = erase(stores)
    assert record.attempts == 1
    [emptied] = stores.run(stores.deliveries.attempts(1, mine))
    assert (emptied.response_headers, emptied.response_body, emptied.detail) == ((), b"", None)
    assert emptied.trace_id == NO_TRACE
    assert (emptied.decision, emptied.status, emptied.span_id) == (Decision.DELIVERED, 200, "cd" * 8)
    [kept] = stores.run(stores.deliveries.attempts(1, theirs))
    assert (kept.response_body, kept.trace_id) == (b"echo of agent-1", TRACE)


def test_an_answer_that_comes_after_the_erasure_is_not_stored(stores):
    subscribe(stores)
    [mine, theirs] = put(stores, event(1), event(2, OTHER))
    erase(stores)
    [later] = put(stores, event(3))
    journal(stores, attempt(mine), attempt(theirs), attempt(later))
    bodies = [stores.run(stores.deliveries.attempts(1, at))[0].response_body for at in (mine, theirs, later)]
    assert bodies == [b"", b"echo of agent-1", b"echo of agent-1"]
    assert stores.run(stores.deliveries.attempts(1, mine))[0].trace_id == NO_TRACE


def test_s3b_what_waits_is_due_at_once_to_be_settled(stores):
    number = subscribe(stores)
    [mine, theirs, flying] = put(stores, event(1), event(2, OTHER), event(3))
    far = stores.clock.now_us + 3_600_000_000
    waiting = [PendingDelivery(number, at, attempts=1, next_at_us=far) for at in (mine, theirs)]
    journal(stores, pending=[*waiting, PendingDelivery(number, flying)])
    _, numbers = erase(stores)
    assert numbers == {number}
    due = stores.run(stores.deliveries.due(stores.clock.now_us, 10))
    assert [item.position for item in due] == [mine]
    assert [item.position for item in stores.run(stores.deliveries.in_flight())] == [flying]


def test_quarantine_is_emptied_of_what_names_it(stores):
    records = {
        "1-0": NewQuarantine("r", "1-0", "malformed", [], b'{"agent": "agent-1"', None),
        "2-0": NewQuarantine("r", "2-0", "contract-broken", [{"pointer": "/x", "detail": "no"}], b"agent-12"),
        "3-0": NewQuarantine("r", "3-0", "malformed", [], b'{"a":"\\u0061gent-1"}', "org-1"),
        "4-0": NewQuarantine("r", "4-0", "malformed", [], b"/agents/agent%2D1?", "org-2"),
        "5-0": NewQuarantine("r", "5-0", "malformed", [], b"nothing of it", "org-1"),
    }
    stores.run(stores.log.append([], list(records.values())))
    assert stores.run(stores.erasures.count(THE_AGENT)).quarantined == 3
    record, _ = erase(stores)
    assert record.quarantined == 3
    assert emptied(stores) == {"1-0", "3-0", "4-0"}
    stores.run(stores.log.append([], [records["1-0"]]))  # the same entry of the stream, read again
    record, _ = erase(stores, Target(Scope.ORGANIZATION, "org-1"))
    assert record.quarantined == 1
    assert emptied(stores) == {"1-0", "3-0", "4-0", "5-0"}


def emptied(stores) -> set[str]:
    page = stores.run(stores.quarantine.page(organization=None, before=None, limit=100))
    whole = [stores.run(stores.quarantine.get(record.id)) for record in page]
    gone = {record.entry_id for record in whole if record.payload == b""}
    assert gone == {record.entry_id for record in whole if record.state == "erased" and not record.problems}
    return gone


def test_it_goes_in_bounded_steps_and_each_can_be_the_last_of_a_process(stores):
    put(stores, *(event(n, AGENT if n % 3 else OTHER) for n in range(ROWS_MAX * 5)))
    mine = [n + 1 for n in range(ROWS_MAX * 5) if n % 3]
    record = stores.run(stores.erasures.request(THE_AGENT))
    done = 0
    while not stores.run(stores.erasures.step(record.id)).finished:
        # Whoever comes after finds the erasure by itself, and it says no more than it has done.
        [there] = stores.run(stores.erasures.open())
        empty = [item.position for item in stores.run(stores.log.read(0, 1_000)) if item.envelope is None]
        assert there.events - done <= ROWS_MAX
        assert empty == mine[: there.events]
        done = there.events
    assert done == len(mine)
    assert stores.run(stores.erasures.open()) == []
    assert sum(fact["data"]["count"] for fact in facts(stores, "erased")) == len(mine)


def test_done_again_it_finds_nothing(stores):
    put(stores, event(1))
    first, _ = erase(stores)
    again, _ = erase(stores)
    assert (first.events, again.events) == (1, 0)
    assert stores.run(stores.erasures.step(first.id)).finished
    assert len(facts(stores, "erased")) == 1
    listed = stores.run(stores.erasures.page(before=None, limit=10))
    assert [record.id for _, record in listed] == [again.id, first.id]
    assert [r.id for _, r in stores.run(stores.erasures.page(before=listed[0][0], limit=10))] == [first.id]


def test_what_is_counted_is_what_is_erased(stores):
    put(stores, *(event(n, AGENT if n % 2 else OTHER) for n in range(450)))
    target = THE_AGENT
    count = stores.run(stores.erasures.count(target))
    record, _ = erase(stores, target)
    assert count.events == record.events == 225
    assert stores.run(stores.erasures.count(target)).events == 0


def test_an_unknown_one(stores):
    assert stores.run(stores.erasures.get("ers_none")) is None
    with pytest.raises(NotFound):
        stores.run(stores.erasures.step("ers_none"))
    record, _ = erase(stores, Target(Scope.AGENT, "agent-none"))
    assert (record.state, record.events) == (ErasureState.FINISHED, 0)


def test_an_event_that_went_to_very_many_takes_more_than_one_step(sql_stores, monkeypatch):
    stores = sql_stores
    monkeypatch.setattr(erasing_events, "ATTEMPTS_MAX", 10)
    positions = put(stores, event(1), event(2), event(3))
    journal(
        stores,
        *(
            attempt(at, number)
            for at, tried in zip(positions, (4, 25, 3), strict=True)
            for number in range(1, tried + 1)
        ),
    )
    record = stores.run(stores.erasures.request(THE_AGENT))
    seen = []
    while not stores.run(stores.erasures.step(record.id)).finished:
        there = stores.run(stores.erasures.get(record.id))
        seen.append((there.events, there.attempts))
    assert all(after - before <= 10 for (_, before), (_, after) in itertools.pairwise(seen))
    assert seen[-1] == (3, 32)
    assert stores.sql("SELECT count(*) FROM attempt WHERE response_body IS NOT NULL")[0][0] == 0


def test_no_column_has_it_any_more(sql_stores):
    stores = sql_stores
    subscribe(stores)
    [mine] = put(stores, event(1, partition_key="key-of-agent"))
    journal(stores, attempt(mine))
    erase(stores)
    [row] = stores.sql("SELECT * FROM log_entry WHERE position = :at", at=mine)
    kept = {name: value for name, value in row._mapping.items() if value not in (None, "")}
    assert set(kept) == {
        "position",
        "kind",
        "type",
        "organization",
        "appended_at",
        "payload_hash",
        "row_hash",
        "erased_by",
    }
    [erasure] = stores.sql("SELECT * FROM erasure")
    assert AGENT not in str(erasure)


def test_too_many_at_once_are_refused(sql_stores, monkeypatch):
    monkeypatch.setattr(erasing, "OPEN_MAX", 2)
    for _ in range(2):
        sql_stores.run(sql_stores.erasures.request(THE_AGENT))
    with pytest.raises(Conflict):
        sql_stores.run(sql_stores.erasures.request(THE_AGENT))


# The chain.


def erased_log(stores) -> int:
    """Eight events of which five are erased by one fact; its position."""
    put(stores, *(event(n, AGENT if n in {1, 2, 3, 5, 7} else OTHER) for n in range(8)))
    erase(stores)
    return stores.sql("SELECT max(erased_by) FROM log_entry")[0][0]


def test_s8b_the_chain_stays_whole_and_says_how_many_are_erased(sql_stores):
    erased_log(sql_stores)
    result = sql_stores.run(verify_log(sql_stores.database))
    assert (result.ok, result.checked, result.erased) == (True, 11, 5)


@pytest.mark.parametrize(
    ("tampering", "first_bad"),
    [
        # Positions 2, 3, 4, 6 and 8 are erased, by the fact at 10.
        ("UPDATE log_entry SET type = 'x' WHERE position = 3", 10),
        ("UPDATE log_entry SET organization = NULL WHERE position = 3", 10),
        ("UPDATE log_entry SET appended_at = appended_at + 1 WHERE position = 3", 10),
        ("UPDATE log_entry SET payload_hash = row_hash WHERE position = 3", 10),
        ("UPDATE log_entry SET row_hash = payload_hash WHERE position = 3", 10),
        ("UPDATE log_entry SET row_hash = payload_hash WHERE position = 4", 5),
        ("UPDATE log_entry SET envelope = row_hash, nonce = row_hash WHERE position = 3", 3),
        ("UPDATE log_entry SET source = '/s' WHERE position = 3", 3),
        ("UPDATE log_entry SET erased_by = NULL WHERE position = 3", 3),
        ("UPDATE log_entry SET erased_by = 9 WHERE position = 3", 3),
        # Nobody says that this one was.
        (
            """UPDATE log_entry SET erased_by = 10, envelope = NULL, nonce = NULL, source = '', event_id = '',
            subject = NULL, agent_id = NULL, run_id = NULL, trace_id = NULL WHERE position = 5""",
            5,
        ),
        ("UPDATE log_entry SET envelope = NULL, nonce = NULL WHERE position = 5", 5),
        ("UPDATE log_entry SET kind = 'fact' WHERE position = 3", 3),
    ],
)
def test_s8b_what_is_left_of_the_erased_is_still_held(sql_stores, tampering, first_bad):
    assert erased_log(sql_stores) == 10
    sql_stores.sql(tampering)
    result = sql_stores.run(verify_log(sql_stores.database))
    assert (result.ok, result.first_bad, bool(result.reason)) == (False, first_bad, True)


@pytest.mark.parametrize(
    "targets",
    [
        [(Scope.AGENT, "a0"), (Scope.ORGANIZATION, "org-1")],
        [(Scope.ORGANIZATION, "org-1"), (Scope.ORGANIZATION, "org-1")],
    ],
)
def test_what_was_erased_is_not_erased_once_more(stores, targets):
    """A fact says of the rows that it emptied what is left of them: they must stay as that fact left them."""
    events = [
        NewEntry(
            type="x.y",
            source="/s",
            id=str(index),
            envelope=json.dumps(
                {"specversion": "1.0", "id": str(index), "source": "/s", "type": "x.y"}
            ).encode(),
            organization="org-1",
            agent_id=f"a{index % 2}",
        )
        for index in range(6)
    ]
    stores.run(stores.log.append(events))
    erased = 0
    for scope, name in targets:
        asked = stores.run(stores.erasures.request(Target(scope, name)))
        while not stores.run(stores.erasures.step(asked.id)).finished:
            pass
        erased += stores.run(stores.erasures.get(asked.id)).events
    assert erased == 6
    if stores.database is not None:
        assert stores.run(verify_log(stores.database)).ok
