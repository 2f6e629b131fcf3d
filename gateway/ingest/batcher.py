"""One batcher per process: whatever arrives meanwhile goes into the next transaction (S7d)."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.errors import Unavailable
from gateway.ingest.meters import IngestMeters
from gateway.ports import Appended, Event, EventLog, NewEntry, NewQuarantine

ROWS_MAX = 500
WAITING_MAX = 20_000

OnAppended = Callable[[Sequence[Event], int], None]
"""Told after each transaction what it appended, in log order, as far as the door has read it, and up to which position:
whoever routes in this process need not read it again. A row that is missing from it (its envelope came from
elsewhere) is in the log."""


@dataclass(slots=True)
class _Request:
    entries: Sequence[NewEntry]
    quarantine: Sequence[NewQuarantine]
    done: "asyncio.Future[Sequence[Appended]]"


class Batcher:
    """Gathers appends of many callers into transactions of up to 500 rows; each caller's append is atomic."""

    def __init__(self, log: EventLog, on_appended: OnAppended, meters: IngestMeters | None = None) -> None:
        self._log = log
        self._on_appended = on_appended
        self._meters = meters or IngestMeters()
        self._requests: deque[_Request] = deque()
        self._waiting_rows = 0
        self._wake = asyncio.Event()

    async def append(
        self, entries: Sequence[NewEntry], quarantine: Sequence[NewQuarantine] = ()
    ) -> Sequence[Appended]:
        """Append all or nothing; returns once it is committed. Raises ``Unavailable`` where that cannot be."""
        if not entries and not quarantine:
            return []
        if self._waiting_rows >= WAITING_MAX:
            raise Unavailable("More events are waiting to be written than the log can take.", retry_after_s=1)
        done: asyncio.Future[Sequence[Appended]] = asyncio.get_running_loop().create_future()
        self._requests.append(_Request(entries, quarantine, done))
        self._waiting_rows += len(entries)
        self._wake.set()
        return await done

    async def run(self) -> None:
        """Write until cancelled; what was handed over before that is written first."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._requests:
                    await self._write(self._take())
        except asyncio.CancelledError:
            for request in self._requests:
                request.done.cancel()
            raise

    def _take(self) -> list[_Request]:
        taken = [self._requests.popleft()]
        rows = len(taken[0].entries)
        while self._requests and rows + len(self._requests[0].entries) <= ROWS_MAX:
            taken.append(self._requests.popleft())
            rows += len(taken[-1].entries)
        self._waiting_rows -= rows
        return taken

    async def _write(self, requests: list[_Request]) -> None:
        entries = [entry for request in requests for entry in request.entries]
        quarantine = [record for request in requests for record in request.quarantine]
        try:
            results = await self._log.append(entries, quarantine)
        except Exception as error:  # noqa: BLE001 - every caller gets the error that its append met
            if len(requests) > 1 and not isinstance(error, Unavailable):
                # One caller's data may be at fault; the others must not fail with it.
                for request in requests:
                    await self._write([request])
                return
            for request in requests:
                if not request.done.done():
                    request.done.set_exception(error)
            return
        events = _events(entries, results)
        self._meters.appended(entries, results, quarantine, events)
        start = 0
        for request in requests:
            end = start + len(request.entries)
            if not request.done.done():
                request.done.set_result(results[start:end])
            start = end
        appended = [result.position for result in results if not result.duplicate]
        if appended:
            self._on_appended([event for event in events if event is not None], appended[-1])


def _events(entries: Sequence[NewEntry], results: Sequence[Appended]) -> list[Event | None]:
    """What was appended, entry by entry; None for a duplicate, and where the door has not read the envelope."""
    return [
        None if result.entry is None or entry.parsed is None else Event(result.entry, entry.parsed)
        for entry, result in zip(entries, results, strict=True)
    ]
