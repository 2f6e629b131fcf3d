"""Rows of the archives' tables as the port's records."""

from typing import Any

from sqlalchemy import Row

from gateway.domain.archive import Span
from gateway.ports import ArchiveRecord, ArchiveState, RunRecord, RunState


def record_of(row: Row[Any]) -> ArchiveRecord:
    """A row of ``archive``."""
    return ArchiveRecord(
        first=row.first,
        last=row.last,
        state=ArchiveState(row.state),
        file=row.file,
        size_bytes=row.size_bytes,
        sha256=row.sha256,
        events=row.events,
        first_at_us=row.first_at,
        last_at_us=row.last_at,
        archived_at_us=row.archived_at,
    )


def span_of(row: Row[Any]) -> Span:
    """What the file of a row is to be."""
    return Span(row.first, row.last, bytes(row.previous), bytes(row.last_hash), bytes(row.kept))


def run_of(row: Row[Any]) -> RunRecord:
    """A row of ``archiving``."""
    return RunRecord(
        id=row.position,
        until=row.until_position,
        cursor=row.cursor,
        state=RunState(row.state),
        archives=row.archives,
        events=row.events,
        requested_at_us=row.requested_at,
        finished_at_us=row.finished_at,
        problem=row.problem,
    )
