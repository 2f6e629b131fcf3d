"""S10b, page by page: whatever the log, the filters and the limits, the pages together are the stream."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.memory import MemoryLog, MemoryStore, MemorySubscriptions
from gateway.deliver.pulling import OfSubscription, PageBounds, StreamReader
from gateway.deliver.tail import Tail
from gateway.domain.filters import filters_from
from gateway.domain.subscription import PULL_SINK, Config, SubscriptionSpec
from gateway.ports import NewEntry, SubscriptionState
from schemas import build

SECRET = "whsec_" + "A" * 32
UPDATED = "com.letta.gateway.subscription.updated"
PAUSED = "com.letta.gateway.subscription.paused"
TYPES = ("test.a", "test.b", UPDATED, PAUSED)
AGENTS = ("agent-1", "agent-2")
ORGANIZATIONS = ("org-1", "org-2", None)
EVERYTHING = PageBounds(10_000, 1 << 30, 1 << 30)


@dataclass(frozen=True)
class Wish:
    """What a subscription asks for, told apart from the code that reads filters."""

    types: frozenset[str] = frozenset()
    agent: str | None = None

    def spec(self) -> SubscriptionSpec:
        exact = [{"exact": {"partitionkey": self.agent}}] if self.agent else []
        return SubscriptionSpec(
            sink=PULL_SINK,
            types=tuple(sorted(self.types)),
            filters=filters_from(exact),
            config=Config(start=0),
        )


@dataclass
class Row:
    """What the test knows of a row."""

    type: str
    agent: str | None = None
    organization: str | None = None
    about: int | None = None
    erased: bool = False


@dataclass
class World:
    """A log that grows step by step, and beside it what the test knows: the oracle never asks the code."""

    organizations: tuple[str, ...] = ("*", "org-1", "*")
    rows: list[Row] = field(default_factory=list)
    history: dict[int, list[tuple[int, Wish]]] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ticks = 0
        self.store = MemoryStore(now=self._now, random=random.Random(1).randbytes)
        self.log = MemoryLog(self.store)
        self.subscriptions = MemorySubscriptions(self.store, fact_source="https://gateway.test/gateway")
        self.tail = Tail(self.log)

    def _now(self) -> int:
        self.ticks += 1
        return self.ticks

    async def subscribe(self, wishes: Sequence[Wish]) -> None:
        for number, (wish, organization) in enumerate(zip(wishes, self.organizations, strict=True), 1):
            record = await self.subscriptions.create(
                wish.spec(), organization=organization, privileged=True, secret=SECRET
            )
            assert record.number == number
            self._fact("com.letta.gateway.subscription.created", number)
            self.history[number] = [(len(self.rows), wish)]

    async def take(self, step: tuple[Any, ...]) -> None:
        match step:
            case ("event", str(type_), str(agent), organization):
                attributes = {"specversion": "1.0", "id": str(len(self.rows)), "source": "/t"}
                envelope = build({**attributes, "type": type_, "partitionkey": agent}, {"n": len(self.rows)})
                entry = NewEntry(type_, "/t", attributes["id"], envelope.raw, organization=organization)
                await self.log.append([entry])
                self.rows.append(Row(type_, agent, organization))
            case ("update", int(number), Wish() as wish) if number not in self.gone:
                record = await self.subscriptions.by_number(number)
                assert record is not None
                # The name keeps a wish that is the same from saying nothing.
                spec = replace(wish.spec(), name=str(len(self.rows)))
                await self.subscriptions.update(number, spec)
                self._fact(UPDATED, number)
                self.history[number].append((len(self.rows), wish))
            case ("pause", int(number)) if number not in self.gone:
                record = await self.subscriptions.by_number(number)
                assert record is not None
                paused = record.state is SubscriptionState.PAUSED
                state = SubscriptionState.ACTIVE if paused else SubscriptionState.PAUSED
                await self.subscriptions.set_state(number, state, cause="a command")
                self._fact(PAUSED.replace("paused", "resumed") if paused else PAUSED, number)
            case ("erase", int(back)) if back < len(self.rows):
                index = len(self.rows) - 1 - back
                row = self.store.rows[index]
                if self.rows[index].about is None:
                    self.store.rows[index] = replace(row, entry=replace(row.entry, envelope=None))
                    self.rows[index].erased = True
            case _:
                pass

    def _fact(self, type_: str, number: int) -> None:
        organization = self.organizations[number - 1]
        row = Row(type_, None, None if organization == "*" else organization, about=number)
        self.rows.append(row)

    def expected(self, number: int, after: int) -> list[int]:
        return [
            position
            for position, row in enumerate(self.rows, 1)
            if position > after and self._wanted(number, position, row)
        ]

    def _wanted(self, number: int, position: int, row: Row) -> bool:
        history = self.history[number]
        wish = next((wish for at, wish in reversed(history) if at < position), history[0][1])
        if row.erased or (self.organizations[number - 1] not in {"*", row.organization}):
            return False
        if row.about is not None and (row.type not in wish.types or self._audits(row.about)):
            return False
        return (not wish.types or row.type in wish.types) and (wish.agent is None or wish.agent == row.agent)

    def _audits(self, number: int) -> bool:
        return any(wish.types & {UPDATED, PAUSED} for _, wish in self.history[number])

    async def reader(self, number: int, after: int = 0) -> StreamReader:
        record = await self.subscriptions.by_number(number)
        assert record is not None
        return StreamReader(self.tail, OfSubscription(self.subscriptions, record), after)


wishes = st.builds(
    Wish, types=st.frozensets(st.sampled_from(TYPES), max_size=2), agent=st.sampled_from([*AGENTS, None])
)
numbers = st.integers(1, 3)
steps = st.one_of(
    st.tuples(
        st.just("event"),
        st.sampled_from(TYPES[:2]),
        st.sampled_from(AGENTS),
        st.sampled_from(ORGANIZATIONS),
    ),
    st.tuples(st.just("update"), numbers, wishes),
    st.tuples(st.just("pause"), numbers),
    st.tuples(st.just("erase"), st.integers(0, 30)),
)


def positions(pages: Sequence[Any]) -> list[int]:
    return [event.entry.position for page in pages for event in page.events]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(wishes, min_size=3, max_size=3),
    st.lists(steps, max_size=60),
    st.lists(
        st.builds(PageBounds, st.integers(1, 7), st.integers(1, 2_000), st.integers(1, 9)),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 40),
)
def test_the_pages_together_are_the_stream(
    asked: list[Wish], script: list[tuple[Any, ...]], bounds: list[PageBounds], after: int
) -> None:
    async def main() -> None:
        world = World()
        await world.subscribe(asked)
        for step in script:
            await world.take(step)
        for number in (1, 2, 3):
            reader, pages = await world.reader(number, after), []
            while not pages or not pages[-1].at_end:
                bound = bounds[len(pages) % len(bounds)]
                # Each page is another request, which knows nothing but where the one before it ended.
                reader = await world.reader(number, pages[-1].next if pages else after)
                pages.append(await reader.page(bound))
                assert len(pages[-1].events) <= bound.events_max
            assert positions(pages) == world.expected(number, after)
            assert pages[-1].next == max(after, len(world.rows))

    asyncio.run(main())


@settings(max_examples=100, deadline=None)
@given(
    st.lists(wishes, min_size=3, max_size=3),
    st.lists(st.lists(steps, max_size=8), max_size=8),
)
def test_a_reader_that_is_ahead_of_the_changes_gets_the_same(
    asked: list[Wish], rounds: list[list[tuple[Any, ...]]]
) -> None:
    """Readers that were there before a revision, and read on over it."""

    async def main() -> None:
        world = World()
        await world.subscribe(asked)
        readers = {number: await world.reader(number) for number in (1, 2, 3)}
        pages: dict[int, list[Any]] = {number: [] for number in readers}
        before = 0
        for script in rounds:
            for step in script:
                # What is erased, or asks for facts, between two reads would be seen differently by design.
                if step[0] in {"event", "pause"} or (
                    step[0] == "update" and not step[2].types & {UPDATED, PAUSED}
                ):
                    await world.take(step)
            for number, reader in readers.items():
                pages[number].append(await reader.page(EVERYTHING))
                assert reader.position == len(world.rows)
            before = len(world.rows)
        if rounds:
            assert before == len(world.rows)
            for number in readers:
                assert positions(pages[number]) == world.expected(number, 0)

    asyncio.run(main())


def one_world(check: Callable[[World], Any], wish: Wish | None = None, organization: str = "*") -> None:
    async def main() -> None:
        world = World(organizations=(organization,))
        await world.subscribe([wish or Wish()])
        await check(world)

    asyncio.run(main())


def event(type_: str = "test.a", organization: str | None = None) -> tuple[Any, ...]:
    return ("event", type_, "agent-1", organization)


def test_it_moves_on_over_a_log_in_which_nothing_matches() -> None:
    async def check(world: World) -> None:
        for _ in range(2_000):
            await world.take(event("test.b"))
        reader, seen = await world.reader(1), [0]
        while not (page := await reader.page(PageBounds(10, 1_000, 300))).at_end:
            assert page.events == []
            assert page.next == seen[-1] + 300
            seen.append(page.next)
        assert page.next == 2_001

    one_world(check, Wish(types=frozenset({"test.a"})))


def test_a_page_is_bounded_in_bytes_and_one_event_always_fits() -> None:
    async def check(world: World) -> None:
        for _ in range(5):
            await world.take(event())
        size = len(world.store.rows[1].entry.envelope or b"")
        reader = await world.reader(1)
        assert positions([await reader.page(PageBounds(10, 1, 100))]) == [2]
        assert positions([await reader.page(PageBounds(10, 2 * size, 100))]) == [3, 4]
        assert positions([await reader.page(PageBounds(10, 2 * size, 100))]) == [5, 6]

    one_world(check)


def test_a_deleted_subscription_ends_the_stream_where_it_was_deleted() -> None:
    async def check(world: World) -> None:
        await world.take(event())
        reader = await world.reader(1)
        await world.subscriptions.delete(1)
        await world.take(event())
        page = await reader.page(EVERYTHING)
        assert reader.gone
        assert positions([page]) == [2]
        assert page.next == 3
        assert (await reader.page(EVERYTHING)).events == []

    one_world(check)


@pytest.mark.parametrize(("organization", "expected"), [("org-1", [2]), ("*", [2, 3, 4])])
def test_s11a_an_organization_gets_its_own_alone(organization: str, expected: list[int]) -> None:
    async def check(world: World) -> None:
        for owner in ORGANIZATIONS:
            await world.take(event(organization=owner))
        assert positions([await (await world.reader(1)).page(EVERYTHING)]) == expected

    one_world(check, organization=organization)
