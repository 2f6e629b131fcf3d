"""The directory: subscriptions as they are now, and the index of those that the router asks (S3d).

What a subscription *is* (sink, secrets, limits, paused or not) is read here before each POST; which events it
*gets* follows the log: the router puts a selection into the index when it passes the fact that made it.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from gateway.deliver.envelopes import Event
from gateway.deliver.patience import patiently
from gateway.deliver.selecting import asks_for_facts
from gateway.deliver.terms import OpenTerms, Terms
from gateway.domain.routing import RoutingIndex
from gateway.ports import Kind, SubscriptionRecord, Subscriptions, SubscriptionState

_PAGE = 500
_SIGNERS_MAX = 4_096
_HELD_UP = "subscriptions cannot be read"


class Current:
    """One subscription as it is now.

    Attributes:
        active: Whether its stream may move. To the engine, one that is only pulled stands like a paused one (S10b),
            and so does one whose sink was asked for its consent and has not given it.
        unasked: Whether its sink has to be asked before it is sent anything.
        fetches_token: Whether its POSTs take an access token that is fetched first.
    """

    __slots__ = ("_opened", "active", "fetches_token", "record", "unasked")

    def __init__(
        self,
        record: SubscriptionRecord,
        opened: OpenTerms,
        *,
        handshake_required: bool = False,
    ) -> None:
        self.record = record
        self._opened = opened
        self.fetches_token = record.private.fetches_token
        consent, needed = record.consent, needs_consent(record, everywhere=handshake_required)
        self.unasked = needed and consent.unasked
        held = needed and not (consent.granted or consent.unasked)
        self.active = record.state is SubscriptionState.ACTIVE and not record.pull_only and not held

    def terms(self, now_us: int) -> Terms:
        """How it is sent to at this time: the end of an old secret needs no command."""
        return self._opened.of(self.record, now_us)


class Directory:
    """All subscriptions that are not deleted."""

    def __init__(
        self, subscriptions: Subscriptions, *, handshake_required: bool = False, webhook_origin: str = ""
    ) -> None:
        self._subscriptions = subscriptions
        self._current = partial(Current, handshake_required=handshake_required)
        self._by_number: dict[int, Current] = {}
        self._numbers: dict[str, int] = {}
        self._gone: set[int] = set()
        self._audits: set[str] = set()
        self._last = 0
        self._last_made = 0
        self.active = 0
        """How many there are whose streams may move."""
        self._opened = OpenTerms(webhook_origin=webhook_origin)
        self.index = RoutingIndex()
        """The selections of those that are active: a stream that stands costs an event nothing."""
        self.stopped: Callable[[Current], None] = lambda _before: None
        """Told at once when one that was active is not any more, with what it was."""

    def __iter__(self) -> Iterator[Current]:
        return iter(list(self._by_number.values()))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._by_number)

    def get(self, number: int) -> Current | None:
        """One subscription as it is now; None: deleted."""
        return self._by_number.get(number)

    def routable(self, event: Event) -> bool:
        """Whether an entry may be routed at all.

        A fact about a subscription that asks for the gateway's facts is recorded and not routed, so that a
        subscription never feeds itself (S1e).
        """
        if event.entry.kind is not Kind.FACT or event.envelope is None or event.entry.addressee is not None:
            return True
        return event.envelope.subject not in self._audits

    async def load(self, routed: int) -> None:
        """Read them all, and index the selections in force where the router goes on."""
        while True:
            page = await self._next_page()
            for record in page:
                self._index(record, routed)
            if len(page) < _PAGE:
                break
            # They stay: a collector that went through all of them again and again would stop deliveries for it.
            gc.freeze()

    async def refresh(self, numbers: Sequence[int], routed: Callable[[], int]) -> None:
        """Read these again after commands. What goes on is asked by the router again, from where it is then."""
        await self._read_again(numbers)
        for number in numbers:
            known = self._by_number.get(number)
            if known is not None and number not in self.index:
                self._index(known.record, routed())

    async def prepare(self, changes: Sequence[tuple[str, int]]) -> None:
        """Facts that change a selection are to be passed, each of a subscription at a position: one look for all."""
        wanted = [
            known.record.number
            for subscription_id, position in changes
            if (known := self._by_number.get(self._numbers.get(subscription_id, 0))) is not None
            and not _knows(known.record, position)
        ]
        if wanted:
            await self._read_again(wanted)

    def number_of(self, subscription_id: str) -> int | None:
        """The number of one that is known here and is not deleted."""
        return self._numbers.get(subscription_id)

    def ended(self, subscription_id: str) -> int | None:
        """The router has passed the fact that deleted it. Returns its number, if it was known here."""
        number = self._numbers.get(subscription_id)
        if number is not None:
            self._forget(number)
        return number

    async def passed(self, subscription_id: str, position: int) -> int | None:
        """The router has passed a fact about this subscription: bring the index up to that position.

        Returns its number where its lane may have to follow. None: it is gone and was not known here, it is only
        pulled and has nothing open, or it was made here and begins here, and so needs no lane before its first event.
        """
        if subscription_id not in self._numbers and position > self._last_made:
            # One that was made is commonly one of many: one look brings in those that come next as well.
            await self._next_page()
        known = self._by_number.get(self._numbers.get(subscription_id, 0))
        if known is not None and _knows(known.record, position):
            self._index(known.record, position)
            begins_here = known.record.created_position == position and known.record.live and known.active
            return None if begins_here else known.record.number
        record = await patiently(lambda: self._subscriptions.get(subscription_id), _HELD_UP)
        if record is None:
            number = self._numbers.get(subscription_id)
            if number is not None:
                # At once: the selection that stands in the index is not the one in force here.
                self._forget(number)
            return number
        if self._keep_newer(record) is None:
            return None
        self._index(record, position)
        return record.number

    async def _read_again(self, numbers: Sequence[int]) -> None:
        found = await patiently(lambda: self._subscriptions.by_numbers(numbers), _HELD_UP)
        for record in found:
            self._keep_newer(record)
        for number in set(numbers) - {record.number for record in found}:
            self._forget(number)

    async def _next_page(self) -> Sequence[SubscriptionRecord]:
        """Read those that were made after the last page, the first of them."""
        page = await patiently(
            partial(self._subscriptions.page, organization=None, after=self._last, limit=_PAGE), _HELD_UP
        )
        for record in page:
            self._keep_newer(record)
            self._last, self._last_made = record.number, record.created_position
        return page

    def _keep_newer(self, record: SubscriptionRecord) -> Current | None:
        """A read that began earlier may end later: never go back, and never bring back what was deleted."""
        if record.number in self._gone:
            return None
        known = self._by_number.get(record.number)
        if known is None or record.updated_at_us >= known.record.updated_at_us:
            self._keep(record)
        return self._by_number.get(record.number)

    def _forget(self, number: int) -> None:
        self._gone.add(number)
        known = self._by_number.pop(number, None)
        if known is not None:
            del self._numbers[known.record.id]
            self.active -= known.active
            self._opened.forget(number)
        self.index.discard(number)

    def _keep(self, record: SubscriptionRecord) -> None:
        if asks_for_facts(record):
            self._audits.add(record.id)
        if record.number not in self._by_number and _dormant(record):
            return
        before = self._by_number.get(record.number)
        if before is not None and before.record != record:
            self._opened.forget(record.number)
        now = self._by_number[record.number] = self._current(record, self._opened)
        self._numbers[record.id] = record.number
        self.active += now.active - (before is not None and before.active)
        if before is not None and before.active and not now.active:
            self.index.discard(record.number)
            self.stopped(before)

    def _index(self, record: SubscriptionRecord, position: int) -> None:
        known = self._by_number.get(record.number)
        if known is None or not known.active:
            self.index.discard(record.number)
        elif record.created_position <= position:
            self.index.put(record.number, record.selector_at(position + 1))


def needs_consent(record: SubscriptionRecord, *, everywhere: bool) -> bool:
    """Whether nothing may be sent before the sink has agreed (CONFORMANCE 29)."""
    return everywhere or record.private.wants_handshake


def _dormant(record: SubscriptionRecord) -> bool:
    """A stream that is only pulled and has nothing open: no lane is ever made for it (S10b)."""
    return record.pull_only and not record.live and not record.pending


def _knows(record: SubscriptionRecord, position: int) -> bool:
    """Whether a record was read after the fact at this position was written, if that made a selection."""
    return any(revision.position == position for revision in record.revisions)
