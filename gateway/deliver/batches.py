"""Batches (S10a): many events in one POST, frozen and journaled before it, the same bytes on every retry."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.deliver.directory import Current, Directory
from gateway.deliver.envelopes import EnvelopeCache, Event
from gateway.deliver.journal import Journal
from gateway.deliver.posting import LEASE_S, Ended, Posting
from gateway.deliver.request import AttemptContext, build_batch_request
from gateway.deliver.settling import Settling
from gateway.deliver.spans import DeliverySpans, Tried
from gateway.deliver.suspects import CRASHES_MAX
from gateway.deliver.terms import Terms
from gateway.deliver.world import World
from gateway.domain.due import Started
from gateway.domain.ids import HASH_BYTES, batch_id, delivery_id
from gateway.domain.lane import Lane
from gateway.domain.pending import PendingDelivery
from gateway.domain.retry import Settlement, splits
from gateway.domain.sending import SendError
from otel.origin import batch_trace, origin_trace
from otel.traceparent import TraceParent, span_id_from

_SECOND_US = 1_000_000
_SPAN_BYTES = 8
_NO_HASH = bytes(HASH_BYTES)


@dataclass(frozen=True, slots=True)
class _Member:
    """One event of a batch."""

    delivery: PendingDelivery
    event: Event

    @property
    def id(self) -> str:
        entry = self.event.entry
        return delivery_id(self.delivery.number, entry.position, entry.row_hash)


class Batches:
    """Sends what a lane gives out as a batch."""

    def __init__(
        self,
        *,
        posting: Posting,
        settling: Settling,
        journal: Journal,
        directory: Directory,
        cache: EnvelopeCache,
        world: World,
        spans: DeliverySpans | None = None,
    ) -> None:
        self._spans = spans
        self._posting = posting
        self._settling = settling
        self._journal = journal
        self._directory = directory
        self._cache = cache
        self._policy = world.policy
        self._now = world.now
        self._random = world.random
        self._leadership = world.leadership

    async def attempt(
        self, lane: Lane, started: Started, events: Sequence[Event | None], current: Current
    ) -> None:
        """One POST of a whole batch, from freezing it to settling each member."""
        forgotten = self._cache.forgotten
        members = await self._to_be_sent(lane, started, events, current)
        if not members:
            return
        frozen = self._freeze(lane, members)
        if frozen is not members or any(self._journal.unwritten(item.delivery.key) for item in frozen):
            # What goes out must be what is sent again after a crash, byte for byte; also the halves of a split one.
            await self._journal.written()
            if self._leadership.holds_for_s() < LEASE_S:
                await self._leadership.until_it_holds(LEASE_S)
        present = self._directory.get(lane.number)
        if present is None:
            return
        if (
            not present.active
            or self._now() < lane.waits_until_us
            or self._posting.held_up(present)
            or self._cache.forgotten != forgotten  # what was read before a wait may be erased by now (S8b)
        ):
            self._settling.postpone(lane, tuple(member.delivery for member in frozen), present)
            return
        terms = present.terms(self._now())
        ended = await self._post(frozen, terms)
        await self._settle(lane, frozen, present, terms, ended)

    async def _to_be_sent(
        self, lane: Lane, started: Started, events: Sequence[Event | None], current: Current
    ) -> list[_Member]:
        """The members that are to be sent; those that are erased or past their time are settled here."""
        members = []
        for delivery, event in zip(started, events, strict=True):
            # A frozen batch is sent as it is: its bytes are promised, and time goes on.
            whole = event is not None and event.envelope is not None and delivery.crashes < CRASHES_MAX
            is_frozen = delivery.batch is not None and whole
            ended = None if is_frozen else self._posting.unsent(event, delivery)
            if ended is None and event is not None:
                members.append(_Member(delivery, event))
            elif ended is not None:
                terms = current.terms(ended.ended_at_us)
                settlement = self._settling.judge(lane, delivery, terms, ended)
                self._settling.account.attempt(current, event, delivery, ended=ended, settlement=settlement)
                hash6 = _NO_HASH if event is None else event.entry.row_hash[:HASH_BYTES]
                await self._settling.settle(lane, delivery, terms, ended, settlement, hash6=hash6)
        return members

    def _freeze(self, lane: Lane, members: list[_Member]) -> list[_Member]:
        """Give the batch its id; the same members where it has it already."""
        batch = batch_id([member.id for member in members])
        if all(
            member.delivery.batch == batch and member.delivery.batch_size == len(members)
            for member in members
        ):
            return members
        assigned = lane.assign(tuple(member.delivery for member in members), batch)
        return [
            replace(member, delivery=delivery) for member, delivery in zip(members, assigned, strict=True)
        ]

    async def _post(self, members: Sequence[_Member], terms: Terms) -> Ended:
        first = members[0].delivery
        started_at_us = self._now()
        batch = first.batch or ""
        trace = self._trace(members, batch)
        context = AttemptContext(
            trace,
            started_at_us // _SECOND_US,
            replay=all(member.delivery.replay for member in members),
            test=all(member.event.entry.addressee is not None for member in members),
        )
        if terms.fetches_token:
            try:
                context.bearer = self._posting.access.token(terms)
            except SendError as error:
                return self._posting.failed(error, trace, started_at_us)
        try:
            request = build_batch_request(
                [member.event for member in members],
                batch,
                terms,
                context,
                as_sent=self._policy.as_sent,
                dataref_of=self._policy.dataref_of,
                timeout_s=self._policy.timeout_s,
            )
        except SendError as error:
            return self._posting.failed(error, trace, started_at_us)
        except Exception as error:  # noqa: BLE001 - see `Posting.inside`
            return self._posting.inside(error, trace, started_at_us, first.position)
        return await self._posting.send(request, context, terms, started_at_us, first.position)

    def _trace(self, members: Sequence[_Member], batch: str) -> TraceParent:
        """The batch's own trace, sampled where one of its events is: else it would promise a span that nobody tells."""
        derived = batch_trace(batch)
        envelopes = (member.event.envelope for member in members)
        sampled = any(origin_trace(found).sampled for found in envelopes if found is not None)
        return TraceParent(derived.trace_id, span_id_from(self._random(_SPAN_BYTES)), sampled=sampled)

    async def _settle(
        self, lane: Lane, members: Sequence[_Member], current: Current, terms: Terms, ended: Ended
    ) -> None:
        """2xx settles all, anything else none; what no retry would change is tried in halves."""
        one = self._settling.judge(lane, members[0].delivery, terms, ended)
        if self._spans is not None:
            tried = Tried(current.record.id, terms, members[0].delivery, ended, one)
            self._spans.batch([member.event for member in members], tried)
        self._settling.conclude(lane, current, ended, one, members[0].delivery.position)
        if splits(ended.outcome) and len(members) > 1:
            middle = len(members) // 2
            for half in (members[:middle], members[middle:]):
                self._try_again(lane, half, current, terms, ended)
        else:
            await self._settle_all(lane, members, current, terms, ended, one=one)

    async def _settle_all(
        self,
        lane: Lane,
        members: Sequence[_Member],
        current: Current,
        terms: Terms,
        ended: Ended,
        *,
        one: Settlement,
    ) -> None:
        for member in members:
            delivery = member.delivery
            same = delivery.failures == members[0].delivery.failures
            settlement = one if same else self._settling.judge(lane, delivery, terms, ended)
            if settlement.next_at is not None and one.next_at is not None:
                # They are one batch, and due together.
                settlement = replace(settlement, next_at=one.next_at)
            self._settling.account.attempt(
                current, member.event, delivery, ended=ended, settlement=settlement
            )
            hash6 = member.event.entry.row_hash[:HASH_BYTES]
            await self._settling.settle(lane, delivery, terms, ended, settlement, hash6=hash6)

    def _try_again(
        self, lane: Lane, half: Sequence[_Member], current: Current, terms: Terms, ended: Ended
    ) -> None:
        batch = batch_id([member.id for member in half])
        for member in half:
            again = replace(member.delivery, batch=batch, batch_size=len(half))
            settlement = self._settling.try_again(
                lane, again, terms, ended, member.event.entry.row_hash[:HASH_BYTES]
            )
            self._settling.account.attempt(
                current, member.event, member.delivery, ended=ended, settlement=settlement
            )
