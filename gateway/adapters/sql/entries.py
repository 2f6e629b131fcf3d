"""Rows of the log as the port's records, and where a time lies among them."""

from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.adapters.sql.models import Archive, LogEntry, LogHead
from gateway.ports import Entry, Kind

_LOG = LogEntry.__table__  # type: ignore[attr-defined]
_ARCHIVE = Archive.__table__  # type: ignore[attr-defined]
_HEAD = LogHead.__table__  # type: ignore[attr-defined]

COLUMNS = (
    _LOG.c.position,
    _LOG.c.kind,
    _LOG.c.type,
    _LOG.c.source,
    _LOG.c.event_id,
    _LOG.c.organization,
    _LOG.c.appended_at,
    _LOG.c.row_hash,
    _LOG.c.envelope,
    _LOG.c.addressee,
    _LOG.c.redriven_from,
    _LOG.c.published_at,
    _LOG.c.contract_broken,
)
"""In the order of the fields of ``Entry``."""

_KINDS = {kind.value: kind for kind in Kind}


def entry_of(row: Row[Any]) -> Entry:
    """A row of ``COLUMNS`` as the port's record."""
    # By place: a name is looked up in every row anew, and the log is read by the hundred thousand.
    columns: tuple[Any, ...] = tuple(row)
    position, kind, type_, source, id_, owner, at_us, row_hash, envelope, *rest = columns
    addressee, redriven_from, published_at_us, contract_broken = rest
    return Entry(
        position,
        _KINDS[kind],
        type_,
        source,
        id_,
        owner,
        at_us,
        bytes(row_hash),
        None if envelope is None else bytes(envelope),
        addressee,
        redriven_from,
        published_at_us,
        contract_broken is True,
    )


def last_position(connection: Connection) -> int:
    """The head of the log."""
    return int(connection.execute(select(_HEAD.c.position)).scalar_one())


def position_before(connection: Connection, at_us: int) -> int:
    """The last position appended before a time, by bisection: ``appended_at`` never goes back (S7d).

    Of a time that lies in what was archived, it is the last one before it that is in the log.
    """
    archived = select(_ARCHIVE.c.last, _ARCHIVE.c.last_at).order_by(_ARCHIVE.c.last.desc()).limit(1)
    row = connection.execute(archived).one_or_none()
    if row is not None and row.last_at >= at_us:
        there = select(_LOG.c.position).where(_LOG.c.position <= row.last, _LOG.c.appended_at < at_us)
        return int(connection.execute(there.order_by(_LOG.c.position.desc()).limit(1)).scalar() or 0)
    low, high = 0 if row is None else row.last, connection.execute(select(_HEAD.c.position)).scalar_one()
    while low < high:
        middle = (low + high + 1) // 2
        at = connection.execute(select(_LOG.c.appended_at).where(_LOG.c.position == middle)).scalar_one()
        if at < at_us:
            low = middle
        else:
            high = middle - 1
    return int(low)
