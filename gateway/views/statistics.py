"""How a subscription's stream is doing: rates, latency, lag, what waits longest, and its breaker.

Bounded, whatever the length of the log: the attempts of the latest events, one page of the log behind the cursor, and
single rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.breaker import StreamNote
from gateway.domain.delivery import Decision
from gateway.domain.facts import rfc3339
from gateway.domain.pending import PendingDelivery
from gateway.domain.statistics import ATTEMPTS_MAX, PERCENTS, Figures, Spread, figures
from gateway.ports import Deliveries, Entry, EventLog, SubscriptionHistory, SubscriptionRecord, Subscriptions
from schemas import parse_structured

Json = dict[str, Any]

WINDOW_S: Final = 3_600
WINDOW_S_MAX: Final = 86_400
AHEAD_MAX: Final = 100
"""So many entries behind the cursor are looked at for the first that the subscription wants."""

_ENDED_BADLY: Final = tuple(item for item in Decision if item not in {Decision.DELIVERED, Decision.FAILED})
_SECOND_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Behind:
    """What a stream has not come to yet.

    Attributes:
        positions: Of the log, behind the stream's cursor, whoever's they are.
        entries: The first of them.
    """

    positions: int
    entries: Sequence[Entry]


class Statistics:
    """Reads what there is to know of one stream now."""

    def __init__(self, log: EventLog, subscriptions: Subscriptions, deliveries: Deliveries) -> None:
        self._log = log
        self._subscriptions = subscriptions
        self._deliveries = deliveries

    async def of(self, record: SubscriptionRecord, *, window_s: int, now_us: int) -> Json:
        """The figures of a subscription.

        The router's position is read first: read last, what it has passed in between would seem to wait.
        """
        routed = await self._deliveries.routed()
        stream = await self._subscriptions.history(record.id)
        behind = None if stream is None or record.pull_only else await self._behind(stream, routed)
        oldest = await self._deliveries.oldest(record.number)
        latest = await self._deliveries.latest(record.number, ATTEMPTS_MAX)
        note = await self._deliveries.note(record.number)
        found = figures(latest, window_s=window_s, now_us=now_us)
        return {
            "subscription": record.id,
            "state": record.state.value,
            "at": rfc3339(now_us),
            **_figures_json(found),
            "pending": record.pending,
            "lag": _lag_json(behind, now_us),
            "oldest_undelivered": await self._oldest(record, oldest, behind, now_us),
            # The sink has asked for a pause (S3e).
            "waits_until": _waits_until(note, now_us),
            "breaker": _breaker_json(note),
        }

    async def _behind(self, stream: SubscriptionHistory, routed: int) -> Behind:
        passed, head = stream.passed(routed), (await self._log.head()).position
        if passed >= head:
            return Behind(0, ())
        return Behind(head - passed, await self._log.read(passed, AHEAD_MAX))

    async def _oldest(
        self,
        record: SubscriptionRecord,
        pending: PendingDelivery | None,
        behind: Behind | None,
        now_us: int,
    ) -> Json | None:
        """What waits for another attempt, or what the stream has not come to: whichever stands first in the log."""
        found = [] if behind is None else _first_wanted(record, behind)
        if pending is not None and (entry := await self._log.get(pending.position)) is not None:
            found.append((entry, True))
        if not found:
            return None
        entry, exact = min(found, key=lambda item: item[0].position)
        return {
            "position": entry.position,
            "appended_at": rfc3339(entry.appended_at_us),
            "age_s": _seconds(now_us - entry.appended_at_us),
            # Not so: it may be a later one; what is looked at has a bound.
            "exact": exact,
        }


def _first_wanted(record: SubscriptionRecord, behind: Behind) -> list[tuple[Entry, bool]]:
    for entry in behind.entries:
        if _wants(record, entry):
            return [(entry, True)]
    more = behind.positions > len(behind.entries)
    return [(behind.entries[-1], False)] if more and behind.entries else []


def _wants(record: SubscriptionRecord, entry: Entry) -> bool:
    """Whether the entry is one of the stream's."""
    if entry.envelope is None or record.skipped(entry.position):
        return False
    if entry.addressee is not None:
        return entry.addressee == record.number
    selector = record.selector_at(entry.position)
    return selector.matches(parse_structured(entry.envelope).attributes, entry.organization)


def _figures_json(found: Figures) -> Json:
    attempts = found.attempts
    delivered = found.decisions[Decision.DELIVERED]
    return {
        "window": {
            "from": rfc3339(found.from_us),
            "until": rfc3339(found.until_us),
            "seconds": _seconds(found.until_us - found.from_us),
            "complete": found.complete,
        },
        "attempts": {
            "total": attempts,
            **{decision.value: count for decision, count in found.decisions.items()},
        },
        "rates": {
            "attempts_per_s": round(found.rate(*Decision), 3),
            "delivered_per_s": round(found.rate(Decision.DELIVERED), 3),
            "failed_per_s": round(found.rate(Decision.FAILED), 3),
            "ended_undelivered_per_s": round(found.rate(*_ENDED_BADLY), 3),
            "delivered_ratio": round(delivered / attempts, 4) if attempts else None,
        },
        "latency_ms": _spread_json(found.latency),
        "answer_ms": _spread_json(found.answers),
    }


def _spread_json(spread: Spread) -> Json:
    percentiles = {f"p{percent}": spread.percentiles_ms.get(percent) for percent in PERCENTS}
    return {"count": spread.count, **percentiles, "max": spread.max_ms}


def _lag_json(behind: Behind | None, now_us: int) -> Json | None:
    if behind is None:
        return None
    first = behind.entries[0] if behind.entries else None
    seconds = 0.0 if first is None else _seconds(now_us - first.appended_at_us)
    return {"events": behind.positions, "seconds": seconds}


def _waits_until(note: StreamNote | None, now_us: int) -> str | None:
    until_us = 0 if note is None else note.waits_until_us or 0
    return rfc3339(until_us) if until_us > now_us else None


def _breaker_json(note: StreamNote | None) -> Json:
    opened = None if note is None else note.opened_at_us
    return {
        "state": "closed" if opened is None else "open",
        "failing_since": _time(None if note is None else note.failing_since_us),
        "opened_at": _time(opened),
        "probe_at": _time(None if note is None else note.probe_at_us),
        "probes": 0 if note is None else note.probes,
    }


def _seconds(duration_us: int) -> float:
    return round(max(0, duration_us) / _SECOND_US, 3)


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)
