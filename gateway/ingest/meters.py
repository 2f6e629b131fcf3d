"""What ingest counts: what came in, what was there already, what was put aside, and how long it took to the log."""

from collections.abc import Callable, Sequence
from typing import Final

from gateway.domain.emitted import emitted_at_us
from gateway.ingest.door import Reason
from gateway.ports import Appended, Event, NewEntry, NewQuarantine
from otel.metrics import Counter, Durations, Family, Numbers, histogram
from otel.origin import is_unsampled
from schemas import Envelope

_ONE: Final = ()


class IngestMeters:
    """The instruments of one process.

    ``samples``: whether spans are made of an event, so that its trace can be looked at; None: nobody makes any here,
    and only the trace of what its producer has not sampled is left out.
    """

    def __init__(self, samples: Callable[[Envelope], bool] | None = None) -> None:
        self._unwanted = is_unsampled if samples is None else lambda envelope: not samples(envelope)
        self._accepted = Counter(
            "letta_gateway_events_accepted", "Events that were appended to the log.", known=[_ONE]
        )
        self._duplicates = Counter(
            "letta_gateway_events_duplicate",
            "Events that the log had already, by source and id.",
            known=[_ONE],
        )
        self._quarantined = Counter(
            "letta_gateway_events_quarantined",
            "Entries of the stream that were put aside, by what was wrong with them.",
            ("reason",),
            known=[(reason.value,) for reason in Reason],
        )
        self._batches = Numbers()
        self._emitted = Durations()

    def appended(
        self,
        entries: Sequence[NewEntry],
        results: Sequence[Appended],
        quarantine: Sequence[NewQuarantine],
        events: Sequence[Event | None],
    ) -> None:
        """One transaction of the log was committed; ``events`` is what it appended, as far as the door has read it.

        This is on the path of each event (``tests/bench/meters.py``). The time that an event says is read here, once:
        who measures its deliveries finds it there.
        """
        observe, unwanted = self._emitted.observe, self._unwanted
        for entry, event in zip(entries, events, strict=True):
            if event is None or event.envelope is None:
                continue
            event.emitted_at_us = at_us = emitted_at_us(event.envelope.time) or 0
            if at_us and entry.redriven_from is None:
                appended_us = event.entry.appended_at_us
                trace_id = None if unwanted(event.envelope) else entry.trace_id
                observe(appended_us - at_us, trace_id, appended_us)
        duplicates = sum([result.duplicate for result in results])
        if entries:
            self._accepted.values[_ONE] += len(entries) - duplicates
            self._duplicates.values[_ONE] += duplicates
            self._batches.observe(len(entries))
        for record in quarantine:
            self._quarantined.add(record.reason)

    def families(self) -> list[Family]:
        """What they have come to."""
        return [
            self._accepted.family(),
            self._duplicates.family(),
            self._quarantined.family(),
            histogram(
                "letta_gateway_append_batch_events", "Events in one append transaction.", self._batches
            ),
            histogram(
                "letta_gateway_emit_to_append_seconds",
                "From an event's own time to its append to the log.",
                self._emitted,
            ),
        ]
