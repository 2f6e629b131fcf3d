"""The gateway's own books, read from its SQLite file: the log, what it owed, and what it says it did."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway.domain.delivery import Decision
from gateway.domain.facts import RETRY_REQUESTED
from schemas import GATEWAY_TYPE_PREFIX

Delivery = tuple[int, int]
"""Subscription number and position."""


@dataclass(frozen=True)
class Entry:
    position: int
    kind: str
    type: str
    source: str
    event_id: str
    key: str | None
    addressee: int | None


@dataclass(frozen=True)
class Attempt:
    """A row of the journal; `gateway.domain.delivery.fold` reads it as it is."""

    seq: int
    number: int
    position: int
    attempt: int
    round: int
    cause: str
    decision: Decision
    counts: bool
    status: int | None
    started_at_us: int
    duration_us: int
    next_at_us: int | None
    span: str
    replay: int | None


@dataclass(frozen=True)
class Replay:
    replay: int
    number: int
    first: int
    last: int
    only_failed: bool
    attempts_until: int
    requested_at_us: int
    state: str


@dataclass(frozen=True)
class Stream:
    """A subscription, with what its own resource says of it."""

    number: int
    name: str
    id: str
    start: int
    types: tuple[str, ...]
    ordered: bool

    def owed(self, entry: Entry) -> bool:
        """Whether it is to have this entry."""
        if entry.addressee is not None:
            return entry.addressee == self.number
        chosen = not self.types or entry.type in self.types
        return entry.kind == "event" and chosen and entry.position > self.start


@dataclass
class Books:
    entries: list[Entry]
    attempts: dict[Delivery, list[Attempt]]
    replays: list[Replay]
    streams: list[Stream]
    pending: list[Delivery]
    retries: Counter[Delivery] = field(default_factory=Counter)
    """How often a retry by hand was asked for."""

    def deliveries(self) -> Iterable[Delivery]:
        """Everything that every stream was to have."""
        return (
            (stream.number, entry.position)
            for stream in self.streams
            for entry in self.entries
            if stream.owed(entry)
        )


class Reader:
    """Reads the file of a gateway that may be running."""

    def __init__(self, data_dir: Path) -> None:
        self._uri = f"file:{data_dir / 'gateway.db'}?mode=ro"

    def ask(self, statement: str, *arguments: object) -> list[tuple]:
        connection = sqlite3.connect(self._uri, uri=True, timeout=10)
        try:
            return connection.execute(statement, arguments).fetchall()
        finally:
            connection.close()

    def head(self) -> int:
        return self.ask("SELECT position FROM log_head")[0][0]

    def owing(self) -> dict[str, int]:
        """What there is still to be done; all zero: nothing."""
        return {
            "pending": self.ask("SELECT count(*) FROM pending")[0][0],
            "replays": self.ask("SELECT count(*) FROM replay WHERE state = 'running'")[0][0],
            "behind": self.ask(
                "SELECT count(*) FROM delivery_cursor WHERE cursor < (SELECT position FROM log_head)"
                " AND NOT (live AND (SELECT max(routed) FROM shard) >= (SELECT position FROM log_head))"
            )[0][0],
        }

    def in_trouble(self) -> list[int]:
        """The streams whose breaker is open."""
        return [row[0] for row in self.ask("SELECT number FROM stream_note WHERE opened_at IS NOT NULL")]

    def books(self, resources: list[dict]) -> Books:
        """Everything. `resources` are the subscriptions as the API shows them."""
        entries = [
            Entry(*row)
            for row in self.ask(
                "SELECT position, kind, type, source, event_id, partition_key, addressee FROM log_entry"
                " ORDER BY position"
            )
        ]
        attempts: dict[Delivery, list[Attempt]] = defaultdict(list)
        for row in self.ask(
            "SELECT seq, number, position, attempt, round, cause, decision, counts, status, started_at,"
            " duration_us, next_at, span_id, replay FROM attempt ORDER BY seq"
        ):
            found = Attempt(*row[:6], Decision(row[6]), bool(row[7]), *row[8:])
            attempts[found.number, found.position].append(found)
        replays = [
            Replay(*row)
            for row in self.ask(
                "SELECT replay, number, from_position, until_position, only_failed, attempts_until, requested_at, state"
                " FROM replay"
            )
        ]
        pending = self.ask("SELECT number, position FROM pending")
        asked = [
            json.loads(row[0])["data"]
            for row in self.ask(
                "SELECT envelope FROM log_entry WHERE type = ?", GATEWAY_TYPE_PREFIX + RETRY_REQUESTED
            )
        ]
        retries = Counter((data["number"], data["position"]) for data in asked)
        return Books(entries, attempts, replays, self._streams(resources), pending, retries)

    def _streams(self, resources: list[dict]) -> list[Stream]:
        known = {item["id"]: item for item in resources}
        return [
            Stream(
                number,
                known[id_]["sink"].rpartition("/")[2],
                id_,
                start,
                tuple(known[id_].get("types") or ()),
                known[id_]["config"].get("ordering") == "partitionkey",
            )
            for number, id_, start in self.ask("SELECT number, id, start_position FROM subscription")
        ]
