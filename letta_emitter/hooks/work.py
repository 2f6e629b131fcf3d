"""Runs and jobs: each terminal status of each, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from letta_emitter.hooks import detached
from letta_emitter.hooks.context import here
from letta_emitter.hooks.memory import Statuses
from letta_emitter.hooks.rows import dumped, plain
from letta_emitter.hooks.sending import deliver
from letta_emitter.hooks.wrapping import Seen
from letta_emitter.mapping.calls import Call, Context, JobEnded, RunEnded

TERMINAL: Final = frozenset({"completed", "failed", "cancelled", "expired"})


@dataclass(frozen=True, slots=True)
class _Ending:
    """Watches the method that updates one kind of work."""

    subject: str
    update: str
    reader: str
    call: Callable[[Context, dict[str, Any], str | None], Call]
    told: Statuses = field(default_factory=Statuses)

    def returned(self, seen: Seen, result: object) -> None:
        if result is not None and self._wanted(seen) in TERMINAL:
            self._tell(seen, dumped(result))

    def raised(self, seen: Seen, error: BaseException) -> None:
        """Read the row again: callbacks and statistics come after the status is committed (S9f)."""
        del error
        wanted = self._wanted(seen)
        if wanted not in TERMINAL:
            return
        read_row = getattr(seen.instance, self.reader)
        keys = {self.subject: seen.arguments.get(self.subject), "actor": seen.arguments.get("actor")}

        async def read() -> None:
            row = dumped(await read_row(**keys))
            if row["status"] == wanted:
                self._tell(seen, row)

        detached.start(f"reading a {self.subject.removesuffix('_id')} again", read)

    def _wanted(self, seen: Seen) -> str | None:
        return plain(getattr(seen.arguments.get(self.update), "status", None))

    def _tell(self, seen: Seen, row: dict[str, Any]) -> None:
        earlier = self.told.change(row["id"], row["status"])
        deliver(self.call(here(seen.organization_id), row, earlier))


run_updated: Final = _Ending("run_id", "update", "get_run_by_id", RunEnded)
job_updated: Final = _Ending("job_id", "job_update", "get_job_by_id_async", JobEnded)
