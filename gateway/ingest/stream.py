"""From a batch of stream entries to the log: append what is good, quarantine what is not, then acknowledge (S7).

Whoever reads the stream acknowledges a batch only after ``StreamIngest.take`` has returned: an infrastructure
error never leaves it, it waits and repeats the same batch.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import Unavailable
from gateway.ingest.door import Door, Reason, Refused
from gateway.ports import Appended, NewEntry, NewQuarantine
from schemas import EnvelopeError, Problem, parse_structured

_LOGGER = logging.getLogger(__name__)
_WAIT_FIRST_S = 0.05
_WAIT_MAX_S = 2.0


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An entry as it was read: the event's bytes, or None where no field holds one; ``raw`` is for the quarantine."""

    id: str
    event: bytes | None
    raw: bytes


class Appender(Protocol):
    """Appends in the log's one way."""

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """See ``Batcher.append``."""
        ...


class StreamIngest:
    """Judges the entries of one stream and appends them in stream order."""

    def __init__(self, door: Door, appender: Appender, *, stream: str) -> None:
        self._door = door
        self._appender = appender
        self._origin = f"redis:{stream}"

    async def take(self, batch: Sequence[StreamEntry]) -> None:
        """Make a batch durable. Returns only when it is; a storage that fails is waited for."""
        entries: list[NewEntry] = []
        quarantine: list[NewQuarantine] = []
        for item in batch:
            verdict = self._judge(item)
            if isinstance(verdict, NewEntry):
                entries.append(verdict)
            else:
                quarantine.append(verdict)
                _LOGGER.warning(
                    "stream entry %s went to quarantine: %s: %s", item.id, verdict.reason, verdict.problems
                )
        await self._append(entries, quarantine)

    def _judge(self, item: StreamEntry) -> NewEntry | NewQuarantine:
        try:
            if item.event is None:
                problem = Problem(
                    "",
                    "no field of this entry holds an event; "
                    "send a structured CloudEvent, by FastStream or in one field",
                )
                raise Refused(Reason.MALFORMED, "Not an event.", [problem])  # noqa: TRY301 - one way out below
            return self._door.admit(parse_structured(item.event))
        except EnvelopeError as error:
            return self._quarantined(item, Reason.MALFORMED, error.problems)
        except Refused as error:
            return self._quarantined(
                item, error.reason, error.problems or (Problem("", error.detail),), error.organization
            )

    def _quarantined(
        self, item: StreamEntry, reason: Reason, problems: Sequence[Problem], organization: str | None = None
    ) -> NewQuarantine:
        return NewQuarantine(
            origin=self._origin,
            entry_id=item.id,
            reason=reason.value,
            problems=[{"pointer": problem.pointer, "detail": problem.detail} for problem in problems],
            payload=item.raw,
            organization=organization,
        )

    async def _append(self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine]) -> None:
        wait_s = _WAIT_FIRST_S
        while True:
            try:
                await self._appender.append(entries, quarantine)
            except Unavailable as error:
                _LOGGER.error("the log cannot be written, trying again in %.2f s: %s", wait_s, error)  # noqa: TRY400
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _WAIT_MAX_S)
            else:
                return
