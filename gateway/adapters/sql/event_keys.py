"""Which events the log has had, by the hash of their source and id (S7c): asked and told by each append.

A hash may have its place on any page of an index. With some ten thousand of them in one, an append writes a page for
each key, which is more than all else that it writes; and so does the checkpoint behind it. So SQLite gets the keys
of an append as one row behind the last (``event_key_recent``), and memory has them as well; when these are many, all
that begin with the same byte go over to ``event_key``, where they lie together, and then those with the next one.

PostgreSQL has a connection for each of several writers, and none that could remember: its keys go to ``event_key``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from sqlalchemy import Connection, delete, insert, select

from gateway.adapters.sql.bulk import BulkInsert, Lookup
from gateway.adapters.sql.models import EventKey, RecentKeys
from gateway.domain.chain import EVENT_KEY_BYTES

_KEYS = EventKey.__table__  # type: ignore[attr-defined]
_RECENT = RecentKeys.__table__  # type: ignore[attr-defined]
_INSERT_KEYS = BulkInsert(_KEYS, ("key", "position"))
_MOVE_KEYS = BulkInsert(_KEYS, ("key", "position"), repeated=True)
_KNOWN = Lookup(_KEYS.c.key, (_KEYS.c.key, _KEYS.c.position))

RECENT_MAX: Final = 32_768
"""Keys that are in memory, some 6 MB of them; up to about twice as many are read when a file is opened."""
_GROUPS: Final = 256
"""One for each first byte: of ``RECENT_MAX`` keys, the oldest group has some 256, and an append moves two of them."""
_MEMORY: Final = "recent_event_keys"

End: TypeAlias = tuple[int, bytes]
"""The position and the hash of the log's last row."""


@dataclass(slots=True)
class _Recent:
    """The keys that ``event_key`` may not have yet, as they are where the log has this end.

    It is kept with the connection. A transaction that was rolled back leaves one of an end that the log does not have,
    or none; then it is read anew.

    Attributes:
        groups: Positions by keys, by the keys' first byte.
        last: The last row of ``event_key_recent``.
        moved: Up to which row each group's keys are in ``event_key``.
        turn: The group that is moved next: it was moved before all others.
    """

    end: End
    groups: list[dict[bytes, int]] = field(default_factory=lambda: [{} for _ in range(_GROUPS)])
    last: int = 0
    moved: list[int] = field(default_factory=lambda: [0] * _GROUPS)
    turn: int = 0

    @property
    def count(self) -> int:
        """How many keys there are."""
        return sum(map(len, self.groups))

    def among(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        """Those of the keys that are in it."""
        groups = self.groups
        return {key: position for key in keys if (position := groups[key[0]].get(key)) is not None}

    def add(self, seq: int, keys: Sequence[tuple[bytes, int]]) -> None:
        """Take up those of a row."""
        groups = self.groups
        for key, position in keys:
            groups[key[0]][key] = position
        self.last = seq

    def take_group(self) -> list[tuple[bytes, int]]:
        """The group whose turn it is, in the order of the index, to be moved."""
        group, self.groups[self.turn] = self.groups[self.turn], {}
        self.moved[self.turn] = self.last
        self.turn = (self.turn + 1) % _GROUPS
        return sorted(group.items())


def known(connection: Connection, keys: Sequence[bytes], end: End) -> dict[bytes, int]:
    """The positions of those of the keys that the log has had; ``end`` is its present one."""
    found = {row.key: row.position for row in _KNOWN(connection, keys)}
    if connection.dialect.name == "sqlite":
        found |= _recent(connection, end).among(keys)
    return found


def note(connection: Connection, keys: Sequence[tuple[bytes, int]], before: End, end: End) -> None:
    """Note the keys of new rows, each with its position: these led from one end of the log to the next."""
    if not keys:
        return
    if connection.dialect.name != "sqlite":
        _INSERT_KEYS(connection, keys)
        return
    recent = _recent(connection, before)
    # Whatever fails from here on, it is not to be taken for what the log has.
    del connection.info[_MEMORY]
    row = {"seq": recent.last + 1, "first": keys[0][1], "hashes": b"".join([key for key, _ in keys])}
    connection.execute(insert(_RECENT), row)
    recent.add(recent.last + 1, keys)
    if recent.count > RECENT_MAX:
        _move(connection, recent)
    recent.end = end
    connection.info[_MEMORY] = recent


def _move(connection: Connection, recent: _Recent) -> None:
    """Bring groups over until there are not too many keys; rows of which all keys were brought over can go.

    What was brought over is known to this connection alone. Where one after the other ends before all groups had their
    turn, their rows would stay for ever: when there are twice as many, all of them go over at once.
    """
    if recent.count > 2 * RECENT_MAX:
        for _ in range(_GROUPS):
            _MOVE_KEYS(connection, recent.take_group())
        connection.execute(delete(_RECENT).where(_RECENT.c.seq <= recent.last))
        return
    before = recent.moved[recent.turn]
    while recent.count > RECENT_MAX:
        _MOVE_KEYS(connection, recent.take_group())
    if recent.moved[recent.turn] > before:
        connection.execute(delete(_RECENT).where(_RECENT.c.seq <= recent.moved[recent.turn]))


def _recent(connection: Connection, end: End) -> _Recent:
    recent = connection.info.get(_MEMORY)
    if not isinstance(recent, _Recent) or recent.end != end:
        recent = connection.info[_MEMORY] = _read(connection, end)
    return recent


def _read(connection: Connection, end: End) -> _Recent:
    recent = _Recent(end)
    rows = select(_RECENT.c.seq, _RECENT.c.first, _RECENT.c.hashes).order_by(_RECENT.c.seq)
    for seq, first, hashes in connection.execute(rows):
        starts = range(0, len(hashes), EVENT_KEY_BYTES)
        recent.add(seq, [(hashes[at : at + EVENT_KEY_BYTES], first + n) for n, at in enumerate(starts)])
    return recent
