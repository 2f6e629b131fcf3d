"""How far the drain has come: a small file, replaced atomically, that outlives the process that wrote it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Self

from letta_emitter.folder import Folder, write_private


@dataclass(frozen=True, slots=True)
class RedisIdentity:
    """What tells one Redis from another: a new run id or another role may mean that it lost what we sent (S9d)."""

    run_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A point in the main line: everything up to `sequence`, which lies in `segment`.

    The sequence counts, not an offset: after a power loss a segment may be shorter than it was.
    """

    segment: int = 0
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Published: Redis has had it. Released: it has had it for long enough that the spool may forget it."""

    published: Mark = Mark()
    released: Mark = Mark()
    sides: dict[str, int] = field(default_factory=dict)
    """Per side file: the offset up to which it is published."""
    redis: RedisIdentity | None = None

    @classmethod
    def load(cls, folder: Folder) -> Self:
        """Read it; a missing or unreadable file means from the start, which costs duplicates that collapse."""
        try:
            return cls._parse(json.loads(folder.progress.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    @classmethod
    def _parse(cls, stored: dict[str, Any]) -> Self:
        redis = stored["redis"]
        return cls(
            published=Mark(**{name: int(value) for name, value in stored["published"].items()}),
            released=Mark(**{name: int(value) for name, value in stored["released"].items()}),
            sides={str(name): int(offset) for name, offset in stored["sides"].items()},
            redis=None if redis is None else RedisIdentity(str(redis["run_id"]), str(redis["role"])),
        )

    def save(self, folder: Folder) -> None:
        """Replace the file.

        Raises:
            OSError: it cannot be written; the one before it stays.
        """
        write_private(folder.progress, json.dumps(dataclasses.asdict(self), separators=(",", ":")).encode())
