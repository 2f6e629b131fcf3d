"""Replays as the API shows them, and how much one would send."""

from typing import Any

import anyio.lowlevel

from gateway.domain.facts import rfc3339
from gateway.ports import Deliveries, EventLog, Kind, Moment, ReplayRange, ReplayRecord, SubscriptionRecord
from schemas import parse_structured

_PAGE = 500
_NOW = Moment(2**63 - 1, 2**63 - 1)


def replay_json(record: ReplayRecord) -> dict[str, Any]:
    """A replay. ``id`` is the position of the fact that asked for it."""
    return {
        "id": record.replay,
        "state": record.state.value,
        "from_position": record.range.from_position,
        "until_position": record.range.until_position,
        "only": "failed" if record.range.only_failed else "all",
        "revision": record.revision,
        "cursor": record.cursor,
        "open": record.open,
        "requested_at": rfc3339(record.requested_at_us),
        "ended_at": None if record.ended_at_us is None else rfc3339(record.ended_at_us),
    }


async def count_replay(
    log: EventLog, deliveries: Deliveries, record: SubscriptionRecord, wanted: ReplayRange
) -> int:
    """How many deliveries a replay of this range would send, by what is in force and journaled now."""
    selector, count, after = record.revisions[-1].selector, 0, wanted.from_position - 1
    while after < wanted.until_position:
        entries = await log.read(after, _PAGE)
        entries = [entry for entry in entries if entry.position <= wanted.until_position]
        if not entries:
            break
        failed: set[int] | None = None
        if wanted.only_failed:
            standings = await deliveries.standings(record.number, after + 1, entries[-1].position, asked=_NOW)
            failed = {position for position, standing in standings.items() if standing.failed}
        for entry in entries:
            if entry.envelope is None or entry.addressee is not None:
                continue
            if failed is not None and entry.position not in failed:
                continue
            if entry.kind is Kind.FACT and entry.type not in selector.gateway_types:
                continue
            count += selector.matches(parse_structured(entry.envelope).attributes, entry.organization)
        after = entries[-1].position
        await anyio.lowlevel.checkpoint()
    return count
