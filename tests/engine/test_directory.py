"""The directory with many subscriptions: read in pages, kept sealed, and brought in line as the router passes (S3d)."""

import gc
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from simulation.small import Engine

from gateway.adapters.memory import MemorySubscriptions
from gateway.deliver.directory import Current, Directory
from gateway.deliver.terms import OpenTerms
from gateway.domain.signing import Signer
from gateway.domain.subscription import PULL_SINK, Config, StartAt, SubscriptionSpec
from gateway.ports import NewSubscription, SubscriptionRecord, SubscriptionState

Virtually = Callable[[Coroutine[Any, Any, None]], None]


class Reads(MemorySubscriptions):
    """Counts what is asked of it."""

    pages = 0
    singles = 0

    async def page(self, *, organization: str | None, after: int, limit: int) -> Sequence[SubscriptionRecord]:
        self.pages += 1
        return await super().page(organization=organization, after=after, limit=limit)

    async def get(self, subscription_id: str) -> SubscriptionRecord | None:
        self.singles += 1
        return await super().get(subscription_id)

    async def by_number(self, number: int) -> SubscriptionRecord | None:
        self.singles += 1
        return await super().by_number(number)


def reads(engine: Engine) -> Reads:
    engine.subscriptions = found = Reads(engine.store, fact_source="https://gateway.test/gateway")
    return found


def wanted(
    count: int, type_: str = "test.a", start: StartAt = StartAt.NOW, sink: str = "https://s.test/"
) -> list[NewSubscription]:
    return [
        NewSubscription(
            SubscriptionSpec(sink=sink, types=(type_,), config=Config(start=start)),
            organization="*",
            privileged=True,
            secret="whsec_" + "A" * 32,
        )
        for _ in range(count)
    ]


def matching(directory: Directory, type_: str = "test.a") -> set[int]:
    return set(directory.index.matching({"type": type_, "source": "/s", "id": "1"}, None))


async def pass_all(directory: Directory, made: Sequence[SubscriptionRecord]) -> list[int | None]:
    return [await directory.passed(record.id, record.created_position) for record in made]


def test_all_are_loaded_page_by_page(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        await found.create_many(wanted(1_100))
        directory = Directory(found)
        before = gc.get_freeze_count()
        await directory.load(900)
        assert (found.pages, found.singles) == (3, 0)
        assert len(list(directory)) == 1_100
        # What the router has not passed yet is not for it to find.
        assert matching(directory) == set(range(1, 901))
        assert gc.get_freeze_count() > before

    virtually(main())
    gc.unfreeze()


def test_what_was_made_with_many_is_read_with_many(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        await directory.load(0)
        found.pages = 0
        made = await found.create_many(wanted(1_000))
        # Each begins where it was made: there is no lane to bring in line.
        assert await pass_all(directory, made) == [None] * 1_000
        assert (found.pages, found.singles) == (2, 0)
        assert matching(directory) == set(range(1, 1_001))

    virtually(main())


def test_what_begins_earlier_or_stands_is_for_a_lane_to_follow(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        made = list(await found.create_many(wanted(2, start=StartAt.BEGINNING)))
        made += await found.create_many(wanted(1))
        await found.set_state(3, SubscriptionState.PAUSED, cause="test")
        assert await pass_all(directory, made) == [1, 2, 3]

    virtually(main())


def test_of_what_is_only_pulled_nothing_is_kept(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        made = list(await found.create_many(wanted(600, sink=PULL_SINK)))
        made += await found.create_many(wanted(2))
        assert await pass_all(directory, made) == [None] * 602
        # One look for each five hundred, and not again for each of those that it left out.
        assert (found.pages, found.singles) == (2, 600)
        assert [current.record.number for current in directory] == [601, 602]
        assert matching(directory) == {601, 602}
        again = Directory(found)
        await again.load(engine.store.head)
        assert [current.record.number for current in again] == [601, 602]
        assert matching(again) == {601, 602}

    virtually(main())


def test_what_was_only_pulled_is_found_when_it_is_sent(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        [record] = await found.create_many(wanted(1, sink=PULL_SINK))
        assert await directory.passed(record.id, record.created_position) is None
        await found.update(1, SubscriptionSpec(sink="https://s1.test/", types=("test.a",)))
        assert await directory.passed(record.id, engine.store.head) == 1
        assert matching(directory) == {1}
        await found.update(1, SubscriptionSpec(sink=PULL_SINK, types=("test.a",)))
        assert await directory.passed(record.id, engine.store.head) == 1
        assert matching(directory) == set()

    virtually(main())


def test_keys_are_prepared_for_those_at_work_and_end_with_their_secret(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        prepared: list[tuple[str, ...]] = []

        def signers(texts: tuple[str, ...], seeds: tuple[bytes, ...]) -> Signer:
            prepared.append(texts)
            return Signer(texts, seeds)

        old, new = ("whsec_" + letter * 32 for letter in "AB")
        record, *others = await engine.subscriptions.create_many(wanted(3))
        record = await engine.subscriptions.rotate_secret(record.number, new)
        opened = OpenTerms(signers, opened_max=2)
        current = Current(record, opened)
        assert prepared == []
        (end_us,) = [secret.until_us for secret in record.secrets if secret.until_us is not None]
        for now_us in (end_us - 2, end_us - 1, end_us, end_us + 1):
            current.terms(now_us)
        assert prepared == [(old, new), (new,)]
        for other in others:
            Current(other, opened).terms(end_us)
        current.terms(end_us)
        # Nothing is held beside the cache: what others pushed out of it is prepared again.
        assert prepared[2:] == [(old,), (old,), (new,)]

    virtually(main())


def test_a_selection_is_in_force_where_the_router_is(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        [record] = await found.create_many(wanted(1))
        await found.update(1, SubscriptionSpec(sink="https://s1.test/", types=("test.b",)))
        updated = engine.store.head
        await directory.passed(record.id, record.created_position)
        assert (matching(directory), matching(directory, "test.b")) == ({1}, set())
        found.singles = 0
        assert await directory.passed(record.id, updated) == 1
        assert (matching(directory), matching(directory, "test.b")) == (set(), {1})
        assert found.singles == 0

    virtually(main())


def test_one_that_is_gone_is_not_found(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        found = reads(engine)
        directory = Directory(found)
        made = await found.create_many(wanted(3))
        await found.delete(2)
        assert await pass_all(directory, made) == [None, None, None]
        assert matching(directory) == {1, 3}
        await found.delete(3)
        assert await directory.passed(made[2].id, engine.store.head) == 3
        assert matching(directory) == {1}
        assert directory.get(3) is None

    virtually(main())


def test_many_that_are_made_while_it_runs_get_what_comes_after(virtually: Virtually) -> None:
    async def main() -> None:
        engine = Engine()
        async with engine.running() as dispatcher:
            before = await engine.publish(2)
            await engine.subscriptions.create_many(wanted(600, "test.b"))
            await engine.subscriptions.create_many(wanted(2))
            await engine.subscriptions.create_many(wanted(2, start=StartAt.BEGINNING))
            dispatcher.appended()
            after = await engine.publish(2)
            await engine.until(lambda: len(engine.posts) == 12)
        assert sorted(engine.posts) == sorted(
            [(number, position) for number in (601, 602) for position in after]
            + [(number, position) for number in (603, 604) for position in before + after]
        )

    virtually(main())
