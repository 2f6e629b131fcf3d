"""Pages of the log, each with word of what was archived of the part that it shows (S8)."""

from dataclasses import replace

from sqlalchemy import Connection

from gateway.adapters.sql.absent import archived_until
from gateway.adapters.sql.search import named, search
from gateway.ports import ArchivedUntil, EventPage, EventQuery
from schemas import GATEWAY_TYPE_PREFIX


def page(connection: Connection, query: EventQuery) -> EventPage:
    """See ``EventLog.page``."""
    found = search(connection, replace(query, limit=query.limit + 1))
    entries, more = found[: query.limit], len(found) > query.limit
    further = entries[-1].position if more else None
    return EventPage(entries, further, _archived(connection, query, further))


def page_of_id(
    connection: Connection, event_id: str, *, organization: str | None, before: int | None, rows: int
) -> EventPage:
    """See ``EventLog.named``."""
    entries, further = named(connection, event_id, organization=organization, before=before, rows=rows)
    last = None if before is None else before - 1
    return EventPage(entries, further, archived_until(connection, further or 1, last))


def _archived(connection: Connection, query: EventQuery, further: int | None) -> ArchivedUntil | None:
    """Of the positions between where the page begins and where it ends, whatever its filters let through.

    What is in an archive is not looked at, so what one organization is told does not depend on whose events they are.
    """
    if query.types and all(name.startswith(GATEWAY_TYPE_PREFIX) for name in query.types):
        return None  # facts stay in the log
    if query.ascending:
        first, last = (query.after or 0) + 1, further
    else:
        first, last = further or 1, None if query.after is None else query.after - 1
    return archived_until(connection, first, last, since_us=query.since_us, until_us=query.until_us)
