"""All projections derived again from the log and the attempts (S1a), in one transaction.

What comes out is equal to what was there in all that matters: which subscriptions there are, with every revision;
what of each stream is still to be sent for the first time; what waits for another attempt, in which round, after how
many failures, until when. It is not equal in what is only a note. A cursor stands before the first event that is
still to be sent, however far the router had looked; everyone has been routed to the head; a replay that runs goes
over its range again, and leaves alone what it has sent; what was in flight is due.

Memory is that of the subscriptions and of a page of the log with what was tried there, however long the log is.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from gateway.adapters.sql import rebuild_reading as reading
from gateway.adapters.sql.database import Database
from gateway.adapters.sql.deliveries import shard_of
from gateway.adapters.sql.delivery_rows import pending_row
from gateway.adapters.sql.models import (
    DeliveryCursor,
    LogHead,
    Pending,
    Replay,
    Shard,
    StreamNote,
    Subscription,
    SubscriptionRevision,
)
from gateway.adapters.sql.sealed import SubscriptionVault
from gateway.domain.delivery import IllegalTransition
from gateway.domain.dialects import text_of
from gateway.domain.filters import Selector
from gateway.domain.outstanding import Heads, Told, arrived, outstanding
from gateway.domain.pending import PendingDelivery
from gateway.domain.routing import RoutingIndex
from gateway.domain.stories import ACTIVE, Stories, Story
from gateway.domain.subscription import Format, Ordering, SubscriptionSpec
from gateway.errors import DatabaseUnusable
from gateway.ports import Kind
from schemas import Envelope, parse_structured

_SUBSCRIPTION = Subscription.__table__  # type: ignore[attr-defined]
_REVISION = SubscriptionRevision.__table__  # type: ignore[attr-defined]
_CURSOR = DeliveryCursor.__table__  # type: ignore[attr-defined]
_PENDING = Pending.__table__  # type: ignore[attr-defined]
_REPLAY = Replay.__table__  # type: ignore[attr-defined]
_SHARD = Shard.__table__  # type: ignore[attr-defined]
_NOTE = StreamNote.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]
_ROWS_MAX: Final = 1_000
_NOTHING_TRIED: Final[Mapping[int, list[Told]]] = {}

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How many there are of each now; ``deleted`` ones are among the subscriptions."""

    positions: int
    subscriptions: int
    deleted: int
    pending: int
    replays: int


async def rebuild(
    database: Database, vault: SubscriptionVault, *, now_us: int, progress: Progress = lambda _position: None
) -> Rebuilt:
    """Throw the projections away and derive them again. Nobody else may have the database.

    Raises ``DatabaseUnusable`` where log, attempts or vault do not fit together; then nothing was changed.
    """
    return await database.alter(lambda connection: rebuild_in(connection, vault, now_us, progress))


def rebuild_in(
    connection: Connection,
    vault: SubscriptionVault,
    now_us: int,
    progress: Progress = lambda _position: None,
) -> Rebuilt:
    """The same within a transaction of the caller's."""
    return _Rebuild(connection, vault, now_us, progress).run()


@dataclass(slots=True)
class _Streams:
    """What the pass over the log needs to know of the subscriptions that are not deleted."""

    stories: dict[int, Story]
    reached: dict[int, int]
    ordered: set[int] = field(default_factory=set)
    pull_only: set[int] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)

    def describe(self, number: int, spec: SubscriptionSpec) -> None:
        """Note what only the vault knows."""
        config = spec.config
        if config.ordering is Ordering.PARTITIONKEY and config.format is not Format.BATCH:
            self.ordered.add(number)
        if spec.pull_only:
            self.pull_only.add(number)


class _Rebuild:
    """One rebuild."""

    def __init__(
        self, connection: Connection, vault: SubscriptionVault, now_us: int, progress: Progress
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._now_us = now_us
        self._progress = progress
        self._cursors: dict[int, int] = {}
        self._heads = Heads()
        self._pending: list[PendingDelivery] = []
        self._count = 0

    def run(self) -> Rebuilt:
        connection = self._connection
        head = connection.execute(select(_HEAD.c.position)).scalar_one()
        told = reading.stories(connection)
        streams = self._streams(told)
        for table in (_SUBSCRIPTION, _REVISION, _CURSOR, _PENDING, _REPLAY):
            connection.execute(delete(table))
        self._write_stories(told)
        self._pass(streams, _Selections(streams.stories.values()))
        self._flush()
        self._size_batches()
        self._write_cursors(streams, head)
        there = select(_CURSOR.c.number)
        connection.execute(delete(_NOTE).where(_NOTE.c.number.not_in(there)))
        connection.execute(update(_SHARD).values(routed=head))
        return Rebuilt(
            positions=head,
            subscriptions=len(told.subscriptions),
            deleted=len(told.subscriptions) - len(streams.stories),
            pending=self._count,
            replays=len(told.replays),
        )

    def _streams(self, told: Stories) -> _Streams:
        present = {number: story for number, story in told.subscriptions.items() if story.present}
        streams = _Streams(present, reading.reached(self._connection))
        for number, spec in reading.specs(self._connection, self._vault, told):
            streams.describe(number, spec)
        streams.watched = {story.id for story in told.subscriptions.values() if story.asks_for_facts}
        return streams

    # One pass over the log.

    def _pass(self, streams: _Streams, selections: "_Selections") -> None:
        for page in reading.entries(self._connection):
            tried = reading.tried(self._connection, page[0].position, page[-1].position)
            there = next(tried, None)
            for entry in page:
                attempts = _NOTHING_TRIED
                if there is not None and there[0] == entry.position:
                    attempts, there = there[1], next(tried, None)
                self._entry(streams, selections, entry, attempts)
            self._progress(page[-1].position)

    def _entry(
        self,
        streams: _Streams,
        selections: "_Selections",
        entry: Row[Any],
        attempts: Mapping[int, Sequence[Told]],
    ) -> None:
        envelope = None if entry.envelope is None else parse_structured(bytes(entry.envelope))
        key = None if envelope is None else envelope.attributes.get("partitionkey")
        wanted = _wanted(streams, selections, entry, envelope)
        for number in sorted({*wanted, *attempts}):
            story = streams.stories.get(number)
            if story is None:
                continue
            place = _Place(number, entry.position, None if key is None else text_of(key), entry.erased_at)
            if number in attempts:
                own = number in wanted and not story.left_out(entry.position)
                self._tried(streams, story, place, attempts[number], own=own)
            elif not story.left_out(entry.position):
                self._untried(streams, selections, place)

    def _tried(
        self, streams: _Streams, story: Story, place: "_Place", attempts: Sequence[Told], *, own: bool
    ) -> None:
        """``own``: whether its stream would have sent it by itself."""
        try:
            item = outstanding(place.number, place.position, attempts, story.asks.get(place.position))
        except IllegalTransition as error:
            raise DatabaseUnusable(
                f"The attempts of position {place.position} for subscription {place.number} do not follow "
                f"each other: {error}."
            ) from error
        if item is not None:
            if place.erased_at_us is not None and item.next_at_us is not None:
                # It is due since, to be settled as erased (S8b).
                item = replace(item, next_at_us=min(item.next_at_us, place.erased_at_us))
            # What only a replay brought, and is none of the stream's own, has no place in its order.
            only_replayed = not own and attempts[0].replay is not None
            first = not (arrived(attempts) or only_replayed)
            self._add(self._in_order(streams, place, item, first=first))

    def _untried(self, streams: _Streams, selections: "_Selections", place: "_Place") -> None:
        """It was dispatched if something behind it was tried; else the stream has not come to it."""
        number, position = place.number, place.position
        if position > streams.reached.get(number, 0):
            self._cursors[number] = position - 1
            selections.drop(number)  # what follows is read from there
            return
        item = PendingDelivery(number, position, first_at_us=self._now_us, next_at_us=self._now_us)
        item = self._in_order(streams, place, item, first=True)
        if place.key is None or number not in streams.ordered or item.blocked_from is not None:
            self._add(item)

    def _in_order(
        self, streams: _Streams, place: "_Place", item: PendingDelivery, *, first: bool
    ) -> PendingDelivery:
        """The first of its key that has not arrived blocks those that stand behind it (S4b)."""
        if place.key is None or place.number not in streams.ordered:
            return item
        if first and self._heads.take(place.number, place.key):
            return item.blocking(place.key, place.position)
        return item if item.replay is None else item.blocking(place.key, None)

    # Writing.

    def _add(self, item: PendingDelivery) -> None:
        self._pending.append(item)
        self._count += 1
        if len(self._pending) >= _ROWS_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._pending:
            self._connection.execute(insert(_PENDING), [pending_row(item) for item in self._pending])
            self._pending.clear()

    def _size_batches(self) -> None:
        """A batch is as large as what is left of it; nobody waits for those that are not."""
        other = _PENDING.alias()
        size = (
            select(func.count())
            .where(other.c.number == _PENDING.c.number, other.c.batch == _PENDING.c.batch)
            .scalar_subquery()
        )
        self._connection.execute(
            update(_PENDING).where(_PENDING.c.batch.is_not(None)).values(batch_size=size)
        )

    def _write_stories(self, told: Stories) -> None:
        stories = told.subscriptions.values()
        self._insert(_SUBSCRIPTION, (_subscription_row(story) for story in stories))
        self._insert(
            _REVISION,
            (
                {"number": story.number, **revision._asdict()}
                for story in stories
                for revision in story.revisions
            ),
        )
        self._insert(
            _REPLAY,
            (
                {
                    **{name.removesuffix("_us"): value for name, value in asdict(replay).items()},
                    "cursor": replay.from_position - 1,
                }
                for replay in told.replays.values()
            ),
        )

    def _write_cursors(self, streams: _Streams, head: int) -> None:
        self._insert(
            _CURSOR,
            (
                {
                    "number": number,
                    "shard": shard_of(number),
                    "cursor": self._cursors.get(number, head),
                    "live": (
                        story.state == ACTIVE
                        and number not in self._cursors
                        and number not in streams.pull_only
                    ),
                }
                for number, story in streams.stories.items()
            ),
        )

    def _insert(self, table: Any, rows: Iterable[dict[str, Any]]) -> None:  # noqa: ANN401 - a table
        page: list[dict[str, Any]] = []
        for row in rows:
            page.append(row)
            if len(page) == _ROWS_MAX:
                self._connection.execute(insert(table), page)
                page = []
        if page:
            self._connection.execute(insert(table), page)


@dataclass(frozen=True, slots=True)
class _Place:
    """One event for one subscription, and what it is ordered by."""

    number: int
    position: int
    key: str | None
    erased_at_us: int | None


class _Selections:
    """Which selections are in force as the pass goes on: those of subscriptions that are not deleted."""

    def __init__(self, stories: Iterable[Story]) -> None:
        self._index = RoutingIndex()
        self._dropped: set[int] = set()
        self._to_come: list[tuple[int, int, Selector]] = sorted(
            ((behind, story.number, selector) for story in stories for behind, selector in story.selectors()),
            key=lambda item: item[:2],
            reverse=True,
        )

    def matching(self, entry: Row[Any], envelope: Envelope) -> list[int]:
        """The subscriptions that select this entry."""
        self.go_to(entry.position)
        return list(self._index.matching(envelope.attributes, entry.organization))

    def go_to(self, position: int) -> None:
        """Put in force what counts behind an earlier position."""
        while self._to_come and self._to_come[-1][0] < position:
            _, number, selector = self._to_come.pop()
            if number not in self._dropped:
                self._index.put(number, selector)

    def drop(self, number: int) -> None:
        """It is not asked for any more."""
        self._dropped.add(number)
        self._index.discard(number)

    def dropped(self, number: int) -> bool:
        """Whether that is so."""
        return number in self._dropped


def _wanted(
    streams: _Streams, selections: _Selections, entry: Row[Any], envelope: Envelope | None
) -> list[int]:
    """Whose an entry is, by the rules of the router (S1e, S3d, S3h)."""
    if envelope is None:
        return []
    if entry.addressee is not None:
        return [] if selections.dropped(entry.addressee) else [entry.addressee]
    if entry.kind == Kind.FACT.value and envelope.subject in streams.watched:
        return []
    return selections.matching(entry, envelope)


def _subscription_row(story: Story) -> dict[str, Any]:
    return {
        "number": story.number,
        "id": story.id,
        "organization": story.organization,
        "privileged": story.privileged,
        "state": story.state,
        "revision": story.revision,
        "start_position": story.start,
        "created_position": story.created_position,
        "created_at": story.created_at_us,
        "updated_at": story.updated_at_us,
        "skips": json.dumps(story.skips),
        "consent": json.dumps(story.consent),
        "callback": story.consent.get("callback"),
    }
