"""Which deliveries a list shows, in memory: all that there are, one after the other."""

from gateway.adapters.memory.store import MemoryStore
from gateway.domain.delivery import State, fold
from gateway.ports import DeliveryItem, DeliveryPlace, DeliveryQuery


def matching(store: MemoryStore, query: DeliveryQuery) -> list[DeliveryItem]:
    """Every delivery that matches, in the list's order."""
    keys = store.pending.keys() | store.attempts.keys()
    places = sorted((DeliveryPlace(position, number) for number, position in keys), reverse=True)
    items = [
        DeliveryItem(
            place.number,
            place.position,
            store.attempts.get((place.number, place.position), ()),
            store.pending.get((place.number, place.position)),
        )
        for place in places
        if _within(query, place) and _owned(store, query, place.number) and _about(store, query, place)
    ]
    return [item for item in items if _wanted(store, query, item)]


def _within(query: DeliveryQuery, place: DeliveryPlace) -> bool:
    return (
        place.position > query.after
        and (query.until is None or place.position <= query.until)
        and (query.before is None or place < query.before)
    )


def _owned(store: MemoryStore, query: DeliveryQuery, number: int) -> bool:
    if query.number is not None:
        return number == query.number
    return query.organization is None or store.names[number][1] == query.organization


def _about(store: MemoryStore, query: DeliveryQuery, place: DeliveryPlace) -> bool:
    """By the event; one that is not in the log is about nothing."""
    if not query.of_some_events:
        return True
    if not 0 < place.position <= store.head:
        return False
    columns = store.rows[place.position - 1].columns
    wanted = ((columns.agent_id, query.agent_id), (columns.run_id, query.run_id))
    return (
        (not query.types or columns.type in query.types)
        and all(value is None or value == has for has, value in wanted)
        and (
            query.trace_id in {None, columns.trace_id}
            or store.has_posted(place.number, place.position, query.trace_id or "")
        )
    )


def _wanted(store: MemoryStore, query: DeliveryQuery, item: DeliveryItem) -> bool:
    state = State.PENDING if item.pending is not None else fold(item.attempts).state
    if state is State.PENDING and store.is_deleted(item.number):
        state = State.CANCELLED  # it ended with its subscription
    return query.wants(state, item.attempts[-1].status if item.attempts else None)
