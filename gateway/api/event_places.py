"""One event by its place in the log, and where it went, as far as a caller may see that."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gateway.api.archived import check_present
from gateway.api.paging import number_in
from gateway.api.services import Services
from gateway.domain.api_tokens import Principal
from gateway.domain.ids import NUMBER_MAX, encode_cursor
from gateway.domain.pending import PendingDelivery
from gateway.errors import NotFound
from gateway.ports import AttemptRecord, Entry

NO_EVENT = "There is no event at this position."
_DELIVERIES = "event-deliveries"
_DIGITS_MAX = 19


@dataclass(frozen=True, slots=True)
class Went:
    """A page of the deliveries of one event: the ids of their subscriptions by number, which are deleted, and more."""

    subscriptions: Mapping[int, str]
    deleted: Collection[int]
    attempts: Sequence[AttemptRecord]
    pending: Sequence[PendingDelivery]
    following: str | None


async def entry_at(service: Services, caller: Principal, position: str) -> Entry:
    """The entry at a position that the caller may see; another's is not there (S11a).

    Raises:
        NotFound: There is none, or it is another's.
        Archived: It has left the log.
    """
    place = place_of(position)
    entry = await service.log.get(place)
    if entry is None:
        await check_present(service, place, place)
    if entry is None or not caller.sees(entry.organization):
        raise NotFound(NO_EVENT)
    return entry


def place_of(text: str) -> int:
    """A position as a path has it. Raises ``NotFound`` for what can be none."""
    digits = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not digits or not 0 < int(text) <= NUMBER_MAX:
        raise NotFound(NO_EVENT)
    return int(text)


async def deliveries_at(
    service: Services, caller: Principal, entry: Entry, *, limit: int, cursor: str | None
) -> Went:
    """A page of its deliveries to the caller's subscriptions, in order of creation. Raises ``InvalidCursor``."""
    after = number_in(_DELIVERIES, cursor) or 0
    # In this order: a delivery that is settled in between is then seen with its outcome.
    pending = await service.deliveries.pending_at(entry.position)
    attempts = await service.deliveries.attempts_at(entry.position)
    touched = {item.number for item in attempts} | {item.number for item in pending}
    known = await service.subscriptions.ids(sorted(number for number in touched if number > after))
    mine = {number: named.id for number, named in known.items() if caller.sees(named.organization)}
    page = dict(sorted(mine.items())[:limit])
    deleted = {number for number in page if known[number].deleted}
    following = encode_cursor(_DELIVERIES, max(page)) if len(mine) > limit else None
    return Went(page, deleted, attempts, pending, following)
