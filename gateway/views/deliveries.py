"""Deliveries as the API shows them: the fold of their attempts, and each attempt."""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from gateway.domain.delivery import State, fold
from gateway.domain.facts import rfc3339
from gateway.domain.ids import delivery_id
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord, Entry


def deliveries_of(
    entry: Entry,
    attempts: Sequence[AttemptRecord],
    pending: Sequence[PendingDelivery],
    subscription_ids: Mapping[int, str],
    deleted: Collection[int] = (),
) -> list[dict[str, Any]]:
    """Every delivery of one event: those with attempts, and those that are in flight for the first time.

    ``deleted``: the numbers of subscriptions that are.
    """
    found = {
        number: list(group)
        for number, group in groupby(
            sorted(attempts, key=lambda item: (item.number, item.attempt)), key=lambda item: item.number
        )
    }
    rows = {item.number: item for item in pending}
    for number in rows:
        found.setdefault(number, [])
    return [
        delivery_json(
            entry,
            number,
            found[number],
            subscription_ids[number],
            rows.get(number),
            deleted=number in deleted,
        )
        for number in sorted(found)
        if number in subscription_ids
    ]


def delivery_json(
    entry: Entry,
    number: int,
    attempts: Sequence[AttemptRecord],
    subscription_id: str,
    pending: PendingDelivery | None = None,
    *,
    deleted: bool = False,
) -> dict[str, Any]:
    """One delivery with all its attempts; what waited when its subscription was deleted, was cancelled by that.

    Its row, while it is not terminal, says more than they do: of a round that a command has asked for there is no
    attempt yet. A row that is older than the last attempt was read before it was settled, and says nothing.
    """
    state = fold(attempts)
    if pending is not None and pending.attempts >= len(attempts):
        state = replace(state, state=State.PENDING, round=pending.round, next_at_us=pending.next_at_us)
    if deleted and state.state is State.PENDING:
        state = replace(state, state=State.CANCELLED)
    return {
        "id": delivery_id(number, entry.position, entry.row_hash),
        "subscription": subscription_id,
        "position": entry.position,
        # Once it is erased, only its type is left of its name (S8b).
        "event": {"id": entry.id or None, "source": entry.source or None, "type": entry.type},
        "state": state.state.value,
        "round": state.round,
        "next_at": _time(state.next_at_us if state.state is State.PENDING else None),
        "first_delivered_at": _time(state.first_delivered_at_us),
        "attempts": [attempt_json(attempt) for attempt in attempts],
    }


def attempt_json(attempt: AttemptRecord) -> dict[str, Any]:
    """One attempt: times, status, error class, the sink's answer, trace and span."""
    body = attempt.response_body
    try:
        text: str | None = body.decode()
    except UnicodeDecodeError:
        text = None
    return {
        "id": attempt.id,
        "number": attempt.attempt,
        "round": attempt.round,
        "cause": attempt.cause,
        # Under which id the receiver knows it where that is not the delivery's, and what asked for it.
        "batch": attempt.batch,
        "replay": attempt.replay,
        "decision": attempt.decision.value,
        "started_at": rfc3339(attempt.started_at_us),
        "duration_ms": attempt.duration_us / 1_000,
        "status": attempt.status,
        "error_class": attempt.error_class,
        "detail": attempt.detail,
        "next_at": _time(attempt.next_at_us),
        "revision": attempt.revision,
        "trace_id": attempt.trace_id,
        "span_id": attempt.span_id,
        "response_headers": [[name, value] for name, value in attempt.response_headers],
        "response_body": text,
        "response_body_base64": base64.b64encode(body).decode() if text is None else None,
    }


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)
