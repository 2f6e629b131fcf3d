"""The timed path of one event, from the log and the attempts alone, pure.

Whatever is not written down is said to be unknown, with the reason; what lies between two known moments is a gap with a
name. Gaps and durations of one delivery add up to the time from its first known moment to its last.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from gateway.domain.emitted import emitted_at_us, spooled_at_us
from gateway.domain.erasure import NO_TRACE
from gateway.domain.facts import rfc3339
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord, Entry, Kind
from gateway.views.deliveries import deliveries_of
from otel.origin import Origin, ingested_span_id, origin_of
from schemas import Envelope, parse_structured

_MS_US: Final = 1_000
_EMITTED, _SPOOLED, _PUBLISHED, _APPENDED, _MATCHED = (
    "emitted",
    "spooled",
    "published",
    "appended",
    "matched",
)
_ATTEMPT: Final = "attempt"
_GAPS: Final = {
    (_EMITTED, _SPOOLED): "emit",
    (_SPOOLED, _PUBLISHED): "spool",
    (_PUBLISHED, _APPENDED): "stream",
    (_EMITTED, _APPENDED): "before the log",
    (_EMITTED, _PUBLISHED): "before the stream",
    (_APPENDED, _ATTEMPT): "match and queue",
}
_BETWEEN_ATTEMPTS: Final = {
    "retry": "retry delay",
    "replay": "until the replay",
    "manual": "until it was asked for",
    "recovery": "until the next process",
}
_NO_SPOOL: Final = "it did not come through an emitter's spool"
_NO_STREAM: Final = "it did not come by the stream"
_NO_TIME: Final = "the event says no time"
_ERASED: Final = "the event was erased"
_FACT: Final = "the gateway said it itself"
_NOT_KEPT: Final = (
    "when it was matched is not written down: after it was appended and before the first attempt"
)


@dataclass(frozen=True, slots=True)
class _Moment:
    """A step on the way to the log: when, if that is known, and why not, if not."""

    step: str
    at_us: int | None
    unknown: str | None = None
    span_id: str | None = None


def trace_json(
    entry: Entry,
    attempts: Sequence[AttemptRecord],
    pending: Sequence[PendingDelivery],
    subscription_ids: Mapping[int, str],
    deleted: Collection[int] = (),
) -> dict[str, Any]:
    """The whole path: the steps that all deliveries share, then each delivery's attempts.

    ``deleted``: the numbers of subscriptions that are.
    """
    envelope = None if entry.envelope is None else parse_structured(entry.envelope)
    origin = None if envelope is None else origin_of(envelope)
    moments = _moments(entry, envelope, origin)
    first_us = next(moment.at_us for moment in moments if moment.at_us is not None)
    deliveries = deliveries_of(entry, attempts, pending, subscription_ids, deleted)
    by_number: dict[str, list[AttemptRecord]] = {name: [] for name in subscription_ids.values()}
    for attempt in sorted(attempts, key=lambda item: item.attempt):
        if attempt.number in subscription_ids:
            by_number[subscription_ids[attempt.number]].append(attempt)
    told = [
        _delivery(found, by_number[found["subscription"]], entry.appended_at_us, first_us)
        for found in deliveries
    ]
    last_us = max(
        [entry.appended_at_us, *(item.ended_at_us for found in by_number.values() for item in found)]
    )
    trace_id = None if origin is None else origin.trace.trace_id
    return {
        "position": entry.position,
        "event": {
            "id": entry.id or None,
            "source": entry.source or None,
            "type": entry.type,
            "subject": None if envelope is None else envelope.subject,
        },
        "trace_id": trace_id,
        "span_id": None if origin is None else origin.trace.span_id,
        "sampled": None if origin is None else origin.trace.sampled,
        "trace_begins": _begins(entry, origin),
        "came_by": _came_by(entry),
        "began_at": rfc3339(first_us),
        "ended_at": rfc3339(last_us),
        "duration_ms": (last_us - first_us) / _MS_US,
        "clocks_differ": any(gap["duration_ms"] < 0 for gap in _gaps(moments)),
        "steps": [_step(moment, first_us, trace_id) for moment in moments],
        "gaps": _gaps(moments),
        "deliveries": told,
    }


def _moments(entry: Entry, envelope: Envelope | None, origin: Origin | None) -> list[_Moment]:
    published_us = entry.published_at_us
    if envelope is None or origin is None:
        before = [_Moment(step, None, _ERASED) for step in (_EMITTED, _SPOOLED)]
        ingested = None
    elif entry.kind is Kind.FACT:
        before = [_Moment(step, None, _FACT) for step in (_EMITTED, _SPOOLED)]
        ingested = None
    else:
        emitted_us = emitted_at_us(envelope.time)
        spooled_us = spooled_at_us(envelope.attributes.get("sequence"), published_us)
        before = [
            _Moment(
                _EMITTED,
                emitted_us,
                None if emitted_us is not None else _NO_TIME,
                origin.trace.span_id if origin.is_given else None,
            ),
            _Moment(_SPOOLED, spooled_us, None if spooled_us is not None else _NO_SPOOL),
        ]
        ingested = ingested_span_id(origin, envelope, from_stream=published_us is not None)
    reason = _FACT if entry.kind is Kind.FACT else _NO_STREAM
    return [
        *before,
        _Moment(_PUBLISHED, published_us, None if published_us is not None else reason),
        _Moment(_APPENDED, entry.appended_at_us, span_id=ingested),
        _Moment(_MATCHED, None, _NOT_KEPT),
    ]


def _begins(entry: Entry, origin: Origin | None) -> str | None:
    """Who began the trace: the producer with a span of its own, the emitter with a derived one, or the gateway."""
    if origin is None:
        return None
    if not origin.is_given or entry.kind is Kind.FACT:
        return "gateway"
    return "emitter" if origin.is_root else "producer"


def _came_by(entry: Entry) -> str:
    if entry.kind is Kind.FACT:
        return "gateway"
    return "http" if entry.published_at_us is None else "stream"


def _step(moment: _Moment, first_us: int, trace_id: str | None) -> dict[str, Any]:
    at_us = moment.at_us
    return {
        "step": moment.step,
        "at": None if at_us is None else rfc3339(at_us),
        "since_begin_ms": None if at_us is None else (at_us - first_us) / _MS_US,
        "unknown": moment.unknown,
        "trace_id": None if moment.span_id is None else trace_id,
        "span_id": moment.span_id,
    }


def _gaps(moments: Sequence[_Moment]) -> list[dict[str, Any]]:
    """What lies between each known moment and the next one."""
    known = [(moment.step, moment.at_us) for moment in moments if moment.at_us is not None]
    return [
        _gap(_GAPS.get((before, after), "unknown"), (before, after), end_us - start_us)
        for (before, start_us), (after, end_us) in pairwise(known)
    ]


def _gap(name: str, between: tuple[str, str], duration_us: int) -> dict[str, Any]:
    return {"name": name, "from": between[0], "to": between[1], "duration_ms": duration_us / _MS_US}


def _delivery(
    shown: Mapping[str, Any], attempts: Sequence[AttemptRecord], appended_us: int, first_us: int
) -> dict[str, Any]:
    gaps, steps = [], []
    before_us, before_name = appended_us, _APPENDED
    previous: AttemptRecord | None = None
    for attempt in attempts:
        name = f"{_ATTEMPT} {attempt.attempt}"
        gap = (
            _GAPS[_APPENDED, _ATTEMPT]
            if previous is None
            else _BETWEEN_ATTEMPTS.get(attempt.cause, "unknown")
        )
        gaps.append(_gap(gap, (before_name, name), attempt.started_at_us - before_us))
        steps.append(_attempt(attempt, previous, first_us))
        before_us, before_name, previous = attempt.ended_at_us, name, attempt
    return {
        **{name: shown[name] for name in ("id", "subscription", "state", "round", "next_at")},
        "duration_ms": (before_us - first_us) / _MS_US,
        "attempts": steps,
        "gaps": gaps,
    }


def _attempt(attempt: AttemptRecord, before: AttemptRecord | None, first_us: int) -> dict[str, Any]:
    return {
        "number": attempt.attempt,
        "round": attempt.round,
        "cause": attempt.cause,
        "at": rfc3339(attempt.started_at_us),
        "ended_at": rfc3339(attempt.ended_at_us),
        "since_begin_ms": (attempt.started_at_us - first_us) / _MS_US,
        "duration_ms": attempt.duration_us / _MS_US,
        "decision": attempt.decision.value,
        "status": attempt.status,
        "error_class": attempt.error_class,
        "batch": attempt.batch,
        "replay": attempt.replay,
        **_place(attempt),
        "after": None if before is None else _place(before),
    }


def _place(attempt: AttemptRecord) -> dict[str, str | None]:
    """Its span; of an erased event none is left."""
    erased = attempt.trace_id == NO_TRACE
    return {
        "trace_id": None if erased else attempt.trace_id,
        "span_id": None if erased else attempt.span_id,
    }
