"""Lists of deliveries of all subscriptions, and by what their events are about, on every backend."""

import itertools
import random
from dataclasses import fields

import pytest
from sqlalchemy.dialects import sqlite as sqlite_dialect

from gateway.adapters.sql import delivery_candidates, delivery_pages
from gateway.domain.delivery import Decision, State, fold
from gateway.domain.history import UNDELIVERED, StateWord, states_of
from gateway.domain.pending import PendingDelivery
from gateway.domain.subscription import SubscriptionSpec
from gateway.ports import AttemptRecord, DeliveryPlace, DeliveryQuery, JournalBatch, NewEntry

SECRET = "whsec_" + "A" * 40
STATUS = {Decision.DELIVERED: 204, Decision.EXHAUSTED: 422, Decision.FAILED: 503}
OWNERS = ("org-1", "org-1", "org-2", "*", "org-1")
EVENTS = 60


def test_the_words_for_states():
    assert [word.value for word in StateWord] == [*(state.value for state in State), "undelivered"]
    assert states_of([]) == frozenset()
    assert states_of([StateWord.UNDELIVERED]) == UNDELIVERED
    assert states_of([StateWord.UNDELIVERED, StateWord.ERASED]) == UNDELIVERED | {State.ERASED}
    assert {state.value for state in State} - {state.value for state in UNDELIVERED} == {
        *("delivered", "erased", "cancelled"),
    }


class World:
    """Subscriptions, events, and what became of some of them, which is also kept here in plain lists."""

    def __init__(self, stores, seed: int) -> None:
        self.stores = stores
        self.owners = {}
        self.events: dict[int, NewEntry] = {}
        self.deliveries: dict[DeliveryPlace, list[AttemptRecord]] = {}
        self.pending: set[DeliveryPlace] = set()
        self._dice = random.Random(seed)
        for owner in OWNERS:
            spec = SubscriptionSpec(sink="https://example.com/")
            made = stores.run(
                stores.subscriptions.create(spec, organization=owner, privileged=False, secret=SECRET)
            )
            self.owners[made.number] = owner
        self._publish()
        self._deliver()

    def _publish(self) -> None:
        for n in range(EVENTS):
            entry = NewEntry(
                type=self._dice.choice(["com.letta.agent.a", "t.b", "t.c"]),
                source="/s",
                id=f"e{n}",
                envelope=b"{}",
                organization=self._dice.choice(["org-1", "org-1", "org-2", None]),
                agent_id=self._dice.choice(["agent-1", "agent-2", None]),
                run_id=f"run-{n // 4}",
                trace_id=f"{n // 2:032x}",
            )
            [appended] = self.stores.run(self.stores.log.append([entry]))
            self.events[appended.position] = entry

    def _deliver(self) -> None:
        attempts, pending = [], []
        for (position, event), (number, owner) in itertools.product(self.events.items(), self.owners.items()):
            # As the router has it: an organization's subscription sees its own events, and no others.
            if owner not in {"*", event.organization} or self._dice.random() < 0.2:
                continue
            place = DeliveryPlace(position, number)
            decisions = self._dice.choice(
                [
                    [],
                    *([[Decision.DELIVERED]] * 6),
                    *([decision] for decision in Decision),
                    [Decision.EXHAUSTED, Decision.DELIVERED],
                    [Decision.EXHAUSTED, Decision.FAILED],
                    [Decision.FAILED, Decision.REFUSED],
                ]
            )
            done: list[AttemptRecord] = []
            for decision in decisions:
                round_ = fold(done).round + int(fold(done).state.terminal)
                done.append(self._attempt(place, len(done) + 1, decision, round_))
            self.deliveries[place] = done
            attempts += done
            if fold(done).state is State.PENDING:
                self.pending.add(place)
                waits = 9 if done else None
                pending.append(PendingDelivery(number, position, attempts=len(done), next_at_us=waits))
        self.stores.run(self.stores.deliveries.commit(JournalBatch(attempts, pending, (), (), 0)))

    @staticmethod
    def _attempt(place: DeliveryPlace, n: int, decision: Decision, round_: int) -> AttemptRecord:
        return AttemptRecord(
            id=f"att_{place.number}_{place.position}_{n}",
            number=place.number,
            position=place.position,
            hash6=b"abcdef",
            attempt=n,
            round=round_,
            cause="first",
            decision=decision,
            counts=decision is Decision.FAILED,
            started_at_us=1,
            duration_us=2,
            revision=1,
            # Some in a batch, whose traces are those of some events as well: so that one list has both.
            trace_id=f"{place.position // 10 + 4:032x}" if place.position % 3 else "t" * 32,
            span_id="s" * 16,
            status=STATUS.get(decision),
            next_at_us=9 if decision is Decision.FAILED else None,
            batch=f"bat_{place.position // 10}" if place.position % 3 else None,
        )

    def expected(self, query: DeliveryQuery) -> list[DeliveryPlace]:
        """What the lists should hold, read off what was done."""

        def meant(place: DeliveryPlace, done: list[AttemptRecord]) -> bool:
            event, asked = self.events[place.position], query
            return (
                asked.number in {None, place.number}
                # Whose a subscription is that is named has been asked before.
                and (asked.number or asked.organization in {None, self.owners[place.number]})
                and (not asked.states or fold(done).state in asked.states)
                and (asked.status is None or (bool(done) and done[-1].status == asked.status))
                and (not asked.types or event.type in asked.types)
                and asked.agent_id in {None, event.agent_id}
                and asked.run_id in {None, event.run_id}
                and (
                    asked.trace_id in {None, event.trace_id}
                    or any(item.batch_trace_id == asked.trace_id for item in done)
                )
                and place.position > asked.after
                and (asked.until is None or place.position <= asked.until)
            )

        return sorted((place for place, done in self.deliveries.items() if meant(place, done)), reverse=True)

    def listed(self, query: DeliveryQuery) -> list[DeliveryPlace]:
        """Every page of a list, one after the other."""
        found: list[DeliveryPlace] = []
        before = query.before
        while True:
            asked = DeliveryQuery(**{**_members(query), "before": before})
            answer = self.stores.run(self.stores.deliveries.page(asked))
            assert len(answer.items) <= query.limit
            for item in answer.items:
                place = DeliveryPlace(item.position, item.number)
                assert list(item.attempts) == self.deliveries[place]
                assert (item.pending is not None) == (place in self.pending)
                found.append(place)
            assert before is None or answer.before is None or answer.before < before, "a list goes on"
            before = answer.before
            if before is None:
                return found


def _members(query: DeliveryQuery) -> dict[str, object]:
    return {member.name: getattr(query, member.name) for member in fields(query)}


@pytest.fixture
def world(stores) -> World:
    return World(stores, seed=1)


def test_all_the_latest_events_first(world):
    everything = world.listed(DeliveryQuery())
    assert everything == sorted(world.deliveries, reverse=True)
    for limit in (1, 3, 7, 500):
        assert world.listed(DeliveryQuery(limit=limit)) == everything


def test_an_organizations_own(world):
    own = world.listed(DeliveryQuery(organization="org-1", limit=5))
    assert own == [place for place in sorted(world.deliveries, reverse=True) if place.number in {1, 2, 5}]
    assert world.listed(DeliveryQuery(organization="org-none")) == []
    assert world.listed(DeliveryQuery(organization="org-none", run_id="run-3")) == []


def test_what_was_not_delivered_of_an_agent(world):
    query = DeliveryQuery(states=UNDELIVERED, agent_id="agent-1")
    assert world.listed(query) == world.expected(query) != []


def test_a_deleted_subscriptions_are_still_there(world):
    before = world.listed(DeliveryQuery(organization="org-2", status=204))
    world.stores.run(world.stores.subscriptions.delete(3))
    assert world.listed(DeliveryQuery(organization="org-2", status=204)) == before != []


@pytest.mark.parametrize("member", ["agent_id", "run_id", "trace_id"])
@pytest.mark.parametrize("value", ["", "nothing", "a\0b", "x" * 3_000])
def test_what_no_event_has(world, member, value):
    assert world.listed(DeliveryQuery(**{member: value})) == []
    assert world.listed(DeliveryQuery(number=1, states=UNDELIVERED, **{member: value})) == []
    assert world.listed(DeliveryQuery(types=(value,))) == []


def queries(dice: random.Random, count: int) -> list[DeliveryQuery]:
    """Any filters together."""

    def maybe(*choices: object) -> object:
        return dice.choice([None, None, *choices])

    return [
        DeliveryQuery(
            number=maybe(1, 4),
            organization=None if (own := maybe("org-1", "org-2", "*")) is None else str(own),
            states=dice.choice(
                [
                    frozenset(),
                    UNDELIVERED,
                    frozenset({State.DELIVERED}),
                    frozenset({State.DELIVERED, State.REFUSED}),
                    frozenset(dice.sample(list(State), 2)),
                ]
            ),
            status=maybe(204, 422, 503),
            types=dice.choice([(), (), ("t.b",), ("t.b", "com.letta.agent.a"), ("t.none",)]),
            agent_id=maybe("agent-1", "agent-2"),
            run_id=maybe("run-3", "run-9"),
            trace_id=maybe(f"{7:032x}"),
            after=dice.choice([0, 0, 20]),
            until=maybe(45),
            limit=dice.choice([1, 2, 5, 50]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("few", [64, 2])
@pytest.mark.parametrize("part", [512, 3])
def test_any_filters_together_give_what_they_say(stores, monkeypatch, few, part):
    monkeypatch.setattr(delivery_candidates, "_FEW", few)
    monkeypatch.setattr(delivery_candidates, "_PART", part)
    monkeypatch.setattr(delivery_pages, "SCAN_MAX", 10)
    world = World(stores, seed=few + part)
    for query in queries(random.Random(few * part), 120):
        assert world.listed(query) == world.expected(query), query


def test_a_page_stays_where_it_is_while_deliveries_go_on(world):
    query = DeliveryQuery(limit=10)
    first = world.stores.run(world.stores.deliveries.page(query))
    entry = NewEntry(type="t.b", source="/s", id="new", envelope=b"{}")
    [appended] = world.stores.run(world.stores.log.append([entry]))
    new = world._attempt(DeliveryPlace(appended.position, 4), 1, Decision.DELIVERED, 0)
    world.stores.run(world.stores.deliveries.commit(JournalBatch([new], (), (), (), 0)))
    rest = DeliveryQuery(limit=500, before=first.before)
    places = [DeliveryPlace(item.position, item.number) for item in first.items] + world.listed(rest)
    assert places == sorted(world.deliveries, reverse=True)


PLANS = {
    "all": (DeliveryQuery(before=DeliveryPlace(50, 3)), {"ix_pending_position", "ix_attempt_position"}),
    "undelivered": (
        DeliveryQuery(states=UNDELIVERED, before=DeliveryPlace(50, 3)),
        {"ix_pending_position", "ix_attempt_undelivered"},
    ),
    "exhausted": (DeliveryQuery(states=frozenset({State.EXHAUSTED})), {"ix_attempt_undelivered"}),
    "pending": (DeliveryQuery(states=frozenset({State.PENDING}), after=3), {"ix_pending_position"}),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_list_of_all_is_read_in_the_order_of_an_index(sqlite_stores, name):
    query, indexes = PLANS[name]
    compiled = (
        delivery_candidates._statement(query, delivery_candidates._anyones)
        .limit(50)
        .compile(dialect=sqlite_dialect.dialect(), compile_kwargs={"literal_binds": True})
    )
    plan = [row.detail for row in sqlite_stores.sql(f"EXPLAIN QUERY PLAN {compiled}")]
    read = [line for line in plan if " pending " in line or " attempt " in line]
    assert {index for index in indexes if any(f"USING COVERING INDEX {index}" in line for line in read)} == (
        indexes
    ), plan
    assert all("USING COVERING INDEX" in line for line in read), plan
    # What is sorted, if anything, is the little that limited parts make together.
    assert len(read) > 1 or not any("TEMP B-TREE" in line for line in plan), plan


@pytest.mark.parametrize("number", [None, 1])
def test_what_one_page_looks_at_has_a_bound(sql_stores, monkeypatch, number):
    monkeypatch.setattr(delivery_pages, "SCAN_MAX", 5)
    world = World(sql_stores, seed=2)
    query = DeliveryQuery(number=number, agent_id="agent-1", status=418, limit=3)
    page = sql_stores.run(sql_stores.deliveries.page(query))
    assert page.items == []
    assert page.before is not None
    assert page.before.position > min(world.events) + 10
