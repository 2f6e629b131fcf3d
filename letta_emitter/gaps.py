"""The event that says that events were lost: `com.letta.emitter.gap`, one per organization and reason (S9e)."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Final

import schemas
from letta_emitter.stats import Gap, Snapshot

SHORT_NAME: Final = "emitter.gap"


def gap_event(gap: Gap, by: Snapshot, source_base: str) -> schemas.Envelope:
    """Make the gap event. Its id is derived, so that one loss told twice is one event.

    Args:
        gap: what was lost.
        by: the process that lost it; `pid` and `started` tell it from others.
        source_base: what the source begins with.
    """
    organization = gap["organization"]
    started = str(by["started"])
    event_id = schemas.event_id(
        SHORT_NAME,
        socket.gethostname(),
        str(by["pid"]),
        started,
        gap["reason"],
        organization or "-",
        repr(gap["first"]),
    )
    now = datetime.now(UTC)
    source = (
        schemas.source_of(source_base, organization) if organization is not None else f"{source_base}/emitter"
    )
    payload = {
        "event_id": event_id,
        "event_type": SHORT_NAME,
        "timestamp": _text(now),
        "agent_id": None,
        "organization_id": organization,
        "data": {
            "reason": gap["reason"],
            "count": gap["count"],
            "first_at": _text(datetime.fromtimestamp(gap["first"], UTC)),
            "last_at": _text(datetime.fromtimestamp(gap["last"], UTC)),
        },
    }
    attributes = {
        "id": event_id,
        "source": source,
        "type": schemas.type_of(SHORT_NAME),
        "subject": started,
        "time": now,
        "partitionkey": organization or "emitter",
    }
    return schemas.build(attributes, payload)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
