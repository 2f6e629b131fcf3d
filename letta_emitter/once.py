"""Publish one event and know that Redis has it: for commands, not for servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from letta_emitter.emitter import Emitter
from letta_emitter.errors import NotDeliveredError
from letta_emitter.folder import Folder
from letta_emitter.progress import Progress
from letta_emitter.settings import EmitterSettings, shown_url
from letta_emitter.shown import shown_by
from letta_emitter.tracing import written
from otel.producing import emit_span, end_span, is_traced

if TYPE_CHECKING:
    import schemas
    from otel.traceparent import TraceParent

TIMEOUT_S = 10.0
_LOOK_EVERY_S = 0.01


class Receipt(NamedTuple):
    """What was published: the event's id and the sequence it was given."""

    id: str
    sequence: int


def emit_once(
    settings: EmitterSettings,
    event: schemas.LettaEvent | schemas.Envelope,
    *,
    timeout_s: float = TIMEOUT_S,
    trace: TraceParent | None = None,
) -> Receipt:
    """Put an event into the spool as the emitter does, and wait until Redis has it; ``trace`` as of `Emitter.emit`.

    Raises:
        EnvelopeError: the event cannot be written as a CloudEvent.
        SpoolError: the spool did not take it.
        NotDeliveredError: it is in the spool, but did not reach Redis within the time; it goes out with the
        next `emit_once` or emitter on that spool.
    """
    envelope = written(event, source_base=settings.source_base, trace=trace)
    emitter = Emitter(settings)
    deadline = time.monotonic() + timeout_s
    try:
        span = emit_span(envelope, settings.stream, shown_by(settings)) if is_traced() else None
        try:
            appended = emitter.append(envelope, wait_s=timeout_s)
        finally:
            if span is not None:
                end_span(span)
        emitter.start()
        folder = Folder(settings.spool_dir)
        # Another process of this host may hold the drain, so its file is asked, not our own thread.
        while Progress.load(folder).published.sequence < appended.sequence:
            if time.monotonic() >= deadline:
                why = emitter.stats.last_error or "the process that holds the drain has not published it"
                # Said without a promise: once this process ends, nobody may be draining the spool.
                raise NotDeliveredError(
                    f"after {timeout_s:g} s the event is not in Redis at {shown_url(settings.redis_url)} ({why}); "
                    f"it waits in the spool at {settings.spool_dir} and goes out with the next emit or emitter on it"
                )
            time.sleep(_LOOK_EVERY_S)
    finally:
        emitter.close()
    return Receipt(envelope.id, appended.sequence)
