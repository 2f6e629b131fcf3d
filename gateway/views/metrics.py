"""Every figure of a gateway: what the flows have counted, and how things stand now.

No organization and no subscription is named in them, and nothing that a stranger has said (S11f).
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import anyio

from gateway.domain.stream_figures import StreamFigures
from gateway.errors import Unavailable
from gateway.ports import EventLog, Head
from gateway.ports.figures import StreamSize
from otel.metrics import Family, Kind, Sample, gauge, gauges

ASKED_S = 2.0
"""Whoever does not answer within this has no figure on this page."""

_SECOND_US = 1_000_000


class Ready(Protocol):
    """What the gateway needs, as ``/readyz`` has it."""

    @property
    def checks(self) -> Mapping[str, bool]:
        """Each thing, and whether it is there."""
        ...

    @property
    def lag_events(self) -> int | None:
        """Appended and not routed yet."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """Where figures come from; None: not in this process.

    Attributes:
        counted: What the flows have counted so far.
        streams: How the streams stand, of a log that ends at a position.
        attempts: Under way now.
        open: Event streams and long polls that are open.
        redis: What the Redis stream holds.
        database_bytes: How large the database is.
        process: What the process takes.
    """

    log: EventLog
    readiness: Callable[[], Awaitable[Ready]]
    now: Callable[[], int]
    open: Callable[[], int]
    counted: Sequence[Callable[[], Sequence[Family]]] = field(default=())
    streams: Callable[[int], Awaitable[StreamFigures]] | None = None
    attempts: Callable[[], int] | None = None
    redis: Callable[[], Awaitable[StreamSize | None]] | None = None
    database_bytes: Callable[[], Awaitable[int | None]] | None = None
    process: Callable[[], Sequence[Family]] | None = None


class Metrics:
    """Looks at everything whenever somebody asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def families(self) -> list[Family]:
        """All figures as they are now. What cannot be had at the moment is left out."""
        sources = self._sources
        readiness, head = await sources.readiness(), await self._head()
        found = _readiness_families(readiness)
        found.append(gauge("letta_gateway_streams_open", "Event streams and long polls.", sources.open()))
        if head is not None:
            found += _log_families(head)
        for counted in sources.counted:
            found += counted()
        if sources.attempts is not None:
            found.append(gauge("letta_gateway_attempts_in_flight", "Attempts under way.", sources.attempts()))
        if sources.streams is not None and head is not None:
            figures = await sources.streams(head.position)
            found += stream_families(figures, await self._behind_s(figures))
        found += await self._storage()
        if sources.process is not None:
            found += sources.process()
        return found

    async def _head(self) -> Head | None:
        with contextlib.suppress(Unavailable), anyio.move_on_after(ASKED_S):
            return await self._sources.log.head()
        return None  # that the database is away is what somebody is to be told

    async def _behind_s(self, figures: StreamFigures) -> float | None:
        """How long ago the first entry was appended that the stream with the most lag has not come to."""
        if figures.furthest is None:
            return 0.0
        with contextlib.suppress(Unavailable), anyio.move_on_after(ASKED_S):
            entries = await self._sources.log.read(figures.furthest, 1)
            if entries:
                return max(0, self._sources.now() - entries[0].appended_at_us) / _SECOND_US
        return None

    async def _storage(self) -> list[Family]:
        sources = self._sources
        found: list[Family] = []
        if sources.redis is not None:
            size = await sources.redis()
            if size is not None:
                found += [
                    gauge("letta_gateway_redis_entries", "Entries in the Redis stream.", size.entries),
                    gauge(
                        "letta_gateway_redis_pending",
                        "Entries that were read and not yet stored.",
                        size.pending,
                    ),
                ]
        if sources.database_bytes is not None:
            size_bytes: int | None = None
            with anyio.move_on_after(ASKED_S):
                size_bytes = await sources.database_bytes()
            name, meaning = "letta_gateway_database_bytes", "The database, without a write-ahead log."
            found.append(gauge(name, meaning, size_bytes, unit="bytes"))
        return found


def _readiness_families(readiness: Ready) -> list[Family]:
    checks = {name: int(fine) for name, fine in readiness.checks.items()}
    return [
        gauges(
            "letta_gateway_ready", "Whether what the gateway needs is there, one by one.", "check", checks
        ),
        gauge("letta_gateway_routing_lag_events", "Appended and not routed yet.", readiness.lag_events),
    ]


def _log_families(head: Head) -> list[Family]:
    last_s = head.appended_at_us / _SECOND_US if head.position else None
    return [
        gauge("letta_gateway_log_position", "The last position of the log, facts included.", head.position),
        gauge(
            "letta_gateway_log_appended_timestamp_seconds",
            "When the last entry was appended, Unix time.",
            last_s,
            unit="seconds",
        ),
    ]


def stream_families(figures: StreamFigures, behind_s: float | None) -> list[Family]:
    """How the streams stand. Those that are stopped do not lag."""
    behind = [Sample(count, (("positions", str(bound)),)) for bound, count in figures.behind.items()]
    stances = {stance.value: count for stance, count in figures.stances.items()}
    return [
        gauges("letta_gateway_streams", "Streams, by what holds them.", "state", stances),
        gauge(
            "letta_gateway_stream_lag_events_max",
            "Positions of the log that the slowest stream has still to pass.",
            figures.lag_max,
        ),
        gauge("letta_gateway_stream_lag_events_all", "The same of all streams together.", figures.lag_sum),
        gauge(
            "letta_gateway_stream_lag_seconds",
            "How long ago the first of those positions was appended.",
            behind_s,
            unit="seconds",
        ),
        Family(
            "letta_gateway_streams_behind",
            Kind.GAUGE,
            "Streams that have still to pass more than so many positions.",
            behind,
        ),
        gauge("letta_gateway_deliveries_pending", "Begun and not ended.", figures.pending),
        gauge("letta_gateway_deliveries_queued", "Waiting for their first attempt.", figures.queued),
    ]
