"""From a batch of stream entries to the log: append what is good, quarantine what is not, then acknowledge (S7).

Whoever reads the stream acknowledges a batch only after ``StreamIngest.store`` has returned: an infrastructure
error never leaves it, it waits and repeats the same batch.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.emitted import published_at_us
from gateway.errors import LeaseLost, Unavailable
from gateway.ingest.door import Door, Reason, Refused
from gateway.ingest.pace import Pace
from gateway.ingest.spans import IngestSpans
from gateway.ports import Appended, NewEntry, NewQuarantine
from schemas import EnvelopeError, Problem, parse_with_data

_LOGGER = logging.getLogger(__name__)
_WAIT_FIRST_S = 0.05
_WAIT_MAX_S = 2.0
_DETAIL_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """An entry as it was read: the event's bytes, or None where no field holds one; ``raw`` is for the quarantine."""

    id: str
    event: bytes | None
    raw: bytes


class ReadEntry(Protocol):
    """What is taken: a ``StreamEntry``, or what the reader of a stream has like it."""

    @property
    def id(self) -> str:
        """See ``StreamEntry``."""
        ...

    @property
    def event(self) -> bytes | None:
        """See ``StreamEntry``."""
        ...

    @property
    def raw(self) -> bytes:
        """See ``StreamEntry``."""
        ...


@dataclass(slots=True)
class Judged:
    """A batch, and what is to become of its entries, each list in stream order."""

    batch: Sequence[ReadEntry]
    entries: Sequence[NewEntry]
    quarantine: Sequence[NewQuarantine]


class Appender(Protocol):
    """Appends in the log's one way."""

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """See ``Batcher.append``."""
        ...


class StreamIngest:
    """Judges the entries of one stream and appends them in stream order."""

    def __init__(
        self,
        door: Door,
        appender: Appender,
        *,
        stream: str,
        pace: Pace | None = None,
        spans: IngestSpans | None = None,
    ) -> None:
        self._spans = spans
        self._door = door
        self._appender = appender
        self._pace = pace
        self._origin = f"redis:{stream}"

    async def take(self, batch: Sequence[ReadEntry]) -> None:
        """Make a batch durable. Returns only when it is; a storage that fails is waited for."""
        await self.store(self.judge(batch))

    def judge(self, batch: Sequence[ReadEntry]) -> Judged:
        """Say of each entry whether it is appended or put aside."""
        entries: list[NewEntry] = []
        quarantine: list[NewQuarantine] = []
        for item in batch:
            verdict = self._judge(item)
            if isinstance(verdict, NewEntry):
                entries.append(verdict)
            else:
                quarantine.append(verdict)
        return Judged(batch, entries, quarantine)

    async def store(self, judged: Judged) -> None:
        """Make a judged batch durable. Returns only when it is; a storage that fails is waited for."""
        batch, entries, quarantine = judged.batch, judged.entries, judged.quarantine
        try:
            await self._append(entries, quarantine)
        except Exception as error:
            if not entries:
                raise
            _LOGGER.exception("%d stream entries from %s on were not stored", len(batch), batch[0].id)
            await self._isolate(batch, error)
            return
        for record in quarantine:
            _LOGGER.warning(
                "stream entry %s went to quarantine: %s: %s", record.entry_id, record.reason, record.problems
            )

    async def _isolate(self, batch: Sequence[ReadEntry], error: Exception) -> None:
        """Something in a batch cannot be stored: one by one, in order, and what fails alone is put aside (S7b)."""
        if len(batch) > 1:
            for item in batch:
                await self.take([item])
            return
        problem = Problem(
            "", f"the log does not take it: {type(error).__name__}: {error}"[:_DETAIL_CHARS_MAX]
        )
        await self._append([], [self._quarantined(batch[0], Reason.NOT_STORED, [problem])])

    def _judge(self, item: ReadEntry) -> NewEntry | NewQuarantine:
        try:
            if item.event is None:
                problem = Problem(
                    "",
                    "no field of this entry holds an event; "
                    "send a structured CloudEvent, by FastStream or in one field",
                )
                raise Refused(Reason.MALFORMED, "Not an event.", [problem])  # noqa: TRY301 - one way out below
            self._door.check_size(len(item.event))
            envelope, data = parse_with_data(item.event)
            entry = self._door.admit(envelope, data=data)
            entry.published_at_us = published_at_us(item.id)
        except EnvelopeError as error:
            return self._quarantined(item, Reason.MALFORMED, error.problems)
        except Refused as error:
            return self._quarantined(
                item, error.reason, error.problems or (Problem("", error.detail),), error.organization
            )
        except Exception as error:
            # Whatever it is that this one makes fail here, it must not stand in the way of the next good event.
            _LOGGER.exception("stream entry %s could not be judged", item.id)
            problem = Problem("", f"the gateway could not read it: {type(error).__name__}")
            return self._quarantined(item, Reason.MALFORMED, [problem])
        return entry

    def _quarantined(
        self, item: ReadEntry, reason: Reason, problems: Sequence[Problem], organization: str | None = None
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
        started_us = 0 if self._spans is None else self._spans.now()
        while True:
            try:
                appended = await self._appender.append(entries, quarantine)
            except (Unavailable, LeaseLost) as error:  # after the latter, the process is about to end
                _LOGGER.error("the log cannot be written, trying again in %.2f s: %s", wait_s, error)  # noqa: TRY400
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _WAIT_MAX_S)
            else:
                if self._pace is not None:
                    self._pace.stored(entries, appended)
                if self._spans is not None:
                    self._spans.from_stream(entries, appended, started_us)
                return
