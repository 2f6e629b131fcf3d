"""`Emitter`: render, append to the spool, return. Never raises into its caller, never waits for Redis."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

import schemas
from letta_emitter.backlog import RETAIN_S
from letta_emitter.drain import Drain
from letta_emitter.errors import EmitterError, SettingsError, SpoolError
from letta_emitter.folder import Folder
from letta_emitter.gaps import gap_event
from letta_emitter.settings import EmitterSettings, is_enabled
from letta_emitter.shown import shown_by
from letta_emitter.spool import LOCK_WAIT_S, Appended, Spool
from letta_emitter.stats import Gap, Snapshot, Stats
from letta_emitter.tracing import written
from otel.producing import emit_span, end_span, is_traced

if TYPE_CHECKING:
    from otel.traceparent import TraceParent

EXIT_FLUSH_S = 1.0
"""How long the end of the process waits for the last events to reach Redis; what does not stays in the spool."""

_GAP_TRY_EVERY_S = 0.05
_THREAD_TRY_EVERY_S = 5.0


class Emitter:
    """The one object a Letta server needs: `emit(event)`.

    Nothing is opened, connected or started before the first `emit` or `start`, so that importing it in one
    of Letta's sandboxed subprocesses costs nothing. Without settings it is off: `emit` returns at once.
    Safe for threads, event loops and forks.
    """

    def __init__(self, settings: EmitterSettings | None, *, retain_s: float = RETAIN_S) -> None:
        self.settings = settings
        self.stats = Stats()
        self._gap_try_at = 0.0
        self._thread_try_at = 0.0
        self._start_lock = threading.Lock()
        self._spool: Spool | None = None
        self._drain: Drain | None = None
        if settings is not None:
            folder = Folder(settings.spool_dir)
            self._spool = Spool(folder, bytes_max=settings.spool_bytes_max)
            self._drain = Drain(
                settings, folder, self.stats, report_gaps=self._report_gaps, retain_s=retain_s
            )
            _living.add(self)

    @classmethod
    def from_env(cls) -> Emitter:
        """Make one from `LETTA_EMITTER_*`: off unless `LETTA_EMITTER_ENABLED` says so.

        A wrong setting switches it off too, with one log line that names the setting: it must not stop Letta.
        """
        try:
            settings = EmitterSettings.from_env() if is_enabled() else None
        except SettingsError as error:
            emitter = cls(None)
            emitter.stats.report("settings", f"the emitter is off: {error}")
            return emitter
        return cls(settings)

    @property
    def enabled(self) -> bool:
        """Say whether events go anywhere."""
        return self.settings is not None

    def emit(
        self,
        event: schemas.LettaEvent | schemas.Envelope,
        *,
        trace: TraceParent | None = None,
        tracestate: str | None = None,
        causationid: str | None = None,
    ) -> None:
        """Put an event into the spool; from there it reaches Redis, however often this process is killed (S9a).

        Returns within microseconds and raises no `Exception`: what goes wrong is counted and logged, once
        per kind and minute. Interrupts of the caller (`KeyboardInterrupt`, `CancelledError`) pass through.

        Args:
            event: a Letta event, or an envelope, which is published as it is (with a `sequence`, and with the
                trace in which it is emitted, where it has none).
            trace: where the event came to be; becomes its `traceparent`. Without it the current OpenTelemetry span,
                sampled or not; outside of any span a Letta event begins a trace.
            tracestate: the vendor part of `trace`.
            causationid: the id of the event that this one follows from.
        """
        if self._spool is None:
            return
        try:
            self._emit(event, trace=trace, tracestate=tracestate, causationid=causationid)
        except Exception as error:  # noqa: BLE001 (the promise: nothing is raised into Letta)
            self.stats.count("failed")
            self.stats.report("failed", f"an event was lost: {type(error).__name__}: {error}")

    def _emit(
        self,
        event: schemas.LettaEvent | schemas.Envelope,
        *,
        trace: TraceParent | None,
        tracestate: str | None,
        causationid: str | None,
    ) -> None:
        settings = self.settings
        if settings is None:
            return
        envelope = written(
            event,
            source_base=settings.source_base,
            trace=trace,
            tracestate=tracestate,
            causationid=causationid,
        )
        if self.stats.has_gaps and time.monotonic() >= self._gap_try_at:
            self._report_gaps([])
        span = emit_span(envelope, settings.stream, shown_by(settings)) if is_traced() else None
        try:
            self.append(envelope)
        except SpoolError as error:
            self._lost(envelope, error)
        else:
            self.stats.count("emitted")
        finally:
            if span is not None:
                end_span(span)
        self._wake()

    def count_failed(self) -> None:
        """Count an event that was lost before `emit`; the drain is started, since it writes the counters down."""
        self.stats.count("failed")
        self._wake()

    def append(self, envelope: schemas.Envelope, *, wait_s: float = LOCK_WAIT_S) -> Appended:
        """Put an envelope into the spool, for callers that want to know whether it worked.

        Args:
            envelope: the event.
            wait_s: how long to wait for the spool's lock before a side file is used.

        Raises:
            SpoolError: it was not taken.
            EmitterError: the emitter is off.
        """
        if self._spool is None:
            raise EmitterError("the emitter is off: set LETTA_EMITTER_ENABLED=1 and LETTA_EMITTER_REDIS_URL")
        appended = self._spool.append(
            envelope.raw.lstrip(), stamped="sequence" in envelope.attributes, wait_s=wait_s
        )
        if appended.position is None:
            self.stats.count("side_file")
            self.stats.report(
                "side_file", "the spool's lock was busy for 1 ms; an event went to a side file, out of order"
            )
        return appended

    def start(self) -> None:
        """Start the drain now, for what an earlier process left in the spool; `emit` does so by itself."""
        self._wake()

    def close(self, timeout_s: float = EXIT_FLUSH_S) -> None:
        """Publish what can be published in the time, and let go of everything. What is left stays in the spool."""
        if self._drain is not None and self._spool is not None:
            self._drain.stop(timeout_s)
            self._spool.close()

    def _wake(self) -> None:
        drain = self._drain
        if drain is None:
            return
        if drain.is_running:
            drain.bell.ring()
            return
        now = time.monotonic()
        with self._start_lock:
            if now < self._thread_try_at:
                return
            self._thread_try_at = now + _THREAD_TRY_EVERY_S
            try:  # another thread may have started it meanwhile: then this does nothing
                drain.start()
            except (
                RuntimeError
            ) as error:  # the interpreter is ending: the spool keeps it for the next process
                self.stats.report("drain", f"the drain cannot start: {error}")

    def _lost(self, envelope: schemas.Envelope, error: SpoolError) -> None:
        self.stats.count(error.kind)
        self.stats.report(error.kind, f"an event was lost: {error}")
        parsed = schemas.parse_source(envelope.source)
        self.stats.lost(None if parsed is None else parsed[0], error.kind)

    def _report_gaps(self, orphaned: list[tuple[Snapshot, Gap]]) -> None:
        """Put a gap event into the spool for each loss, as soon as there is room for it."""
        spool, settings = self._spool, self.settings
        if spool is None or settings is None:
            return
        self._gap_try_at = time.monotonic() + _GAP_TRY_EVERY_S
        by = self.stats.snapshot()
        waiting = orphaned + [(by, gap) for gap in self.stats.take_gaps()]
        for number, (owner, gap) in enumerate(waiting):
            try:
                spool.append(gap_event(gap, owner, settings.source_base).raw)
            except SpoolError:
                self.stats.give_back(gap for _, gap in waiting[number:])
                return
            self.stats.count("gaps")

    def reset_after_fork(self) -> None:
        """In a forked child: take nothing over from the parent but the settings."""
        self._start_lock = threading.Lock()
        self._thread_try_at = 0.0
        self.stats.reset_after_fork()
        if self._spool is not None and self._drain is not None:
            self._spool.reset_after_fork()
            self._drain.reset_after_fork()


_living: weakref.WeakSet[Emitter] = weakref.WeakSet()
_singleton: Emitter | None = None
_singleton_lock = threading.Lock()


def get_emitter() -> Emitter:
    """Return this process's emitter, made from the environment at the first call."""
    global _singleton  # noqa: PLW0603 (one per process, by definition)
    emitter = _singleton
    if emitter is None:
        with _singleton_lock:
            emitter = _singleton
            if emitter is None:
                emitter = _singleton = Emitter.from_env()
    return emitter


def _after_fork() -> None:
    global _singleton_lock  # noqa: PLW0603 (the parent's may be held by a thread that is not here)
    _singleton_lock = threading.Lock()
    for emitter in list(_living):
        emitter.reset_after_fork()


@atexit.register
def _at_exit() -> None:
    for emitter in list(_living):
        emitter.close(EXIT_FLUSH_S)


os.register_at_fork(after_in_child=_after_fork)
