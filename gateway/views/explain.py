"""`explain`: why an event was, or was not, delivered to a subscription, with every clause of its selection."""

from dataclasses import replace
from typing import Any

from gateway.domain.clauses import Clause
from gateway.domain.dialects import text_of
from gateway.domain.facts import SUBSCRIPTION_DELETED, SUBSCRIPTION_DISABLED, SUBSCRIPTION_PAUSED, rfc3339
from gateway.ports import (
    LONG_AGO,
    Deliveries,
    Entry,
    EventLog,
    EventQuery,
    Kind,
    Now,
    SubscriptionHistory,
    Subscriptions,
    SubscriptionState,
)
from gateway.views.deliveries import delivery_json
from gateway.views.paces import pace_of
from gateway.views.verdicts import Reason, Situation, Verdict, not_in_log, reason_of
from schemas import GATEWAY_TYPE_PREFIX, Envelope, parse_structured

Json = dict[str, Any]

_FACTS = {
    Verdict.PAUSED: SUBSCRIPTION_PAUSED,
    Verdict.DISABLED: SUBSCRIPTION_DISABLED,
    Verdict.DELETED: SUBSCRIPTION_DELETED,
}


class Explainer:
    """Reads what there is to know, and says what it comes to."""

    def __init__(
        self,
        log: EventLog,
        subscriptions: Subscriptions,
        deliveries: Deliveries,
        *,
        now: Now,
        handshake_required: bool = False,
    ) -> None:
        self._log = log
        self._subscriptions = subscriptions
        self._deliveries = deliveries
        self._now = now
        self._handshake_required = handshake_required

    async def absent(self, position: int, stream: SubscriptionHistory) -> Json:
        """The answer for a position that holds no event."""
        reason = not_in_log(position, (await self._log.head()).position)
        return _answer(position, stream, reason)

    async def explain(self, entry: Entry, stream_id: str) -> Json | None:
        """The answer for an event and a subscription, deleted ones too; None where there never was one of this id.

        What the stream has passed is read before what it has dispatched: the other way round, a delivery that
        begins in between would look as if it had been left out.
        """
        routed = await self._deliveries.routed()
        stream = await self._subscriptions.history(stream_id)
        if stream is None:
            return None
        situation = await self._situation(entry, stream, stream.passed(routed))
        reason = await self._dated(stream, reason_of(situation))
        return _answer(entry.position, stream, reason) | _details(situation)

    async def _situation(self, entry: Entry, stream: SubscriptionHistory, passed: int) -> Situation:
        number, position = stream.number, entry.position
        envelope = None if entry.envelope is None else parse_structured(entry.envelope)
        standings = await self._deliveries.standings(number, position, position, asked=LONG_AGO)
        pending = standings[position].pending if position in standings else None
        attempts = await self._deliveries.attempts(number, position)
        if pending is not None and pending.attempts < len(attempts):
            pending = None  # it was settled in between
        record = await self._subscriptions.by_number(number)
        needed = record is not None and (self._handshake_required or record.private.wants_handshake)
        consent = record.consent if record is not None and needed else None
        found = Situation(
            entry=entry,
            attributes=None if envelope is None else envelope.attributes,
            stream=stream,
            passed=passed,
            attempts=attempts,
            pending=pending,
            watched=await self._watched(entry, envelope),
            note=await self._deliveries.note(number),
            now_us=self._now(),
            pull_only=record is not None and record.pull_only,
            consent=consent,
            pace=None if record is None else pace_of(record.spec.config, consent),
        )
        key = None if envelope is None else envelope.attributes.get("partitionkey")
        if key is None or found.attempts or found.pending is not None:
            return found
        return replace(found, head=await self._deliveries.blocking(number, text_of(key)))

    async def _watched(self, entry: Entry, envelope: Envelope | None) -> bool:
        """Whether it is a fact about a subscription that asks for facts, as the router has it (S1e)."""
        if entry.kind is not Kind.FACT or entry.addressee is not None or envelope is None:
            return False
        about = await self._subscriptions.history(envelope.subject or "")
        return about is not None and any(item.selector.gateway_types for item in about.revisions)

    async def _dated(self, stream: SubscriptionHistory, reason: Reason) -> Reason:
        """Since when a stream stands still, and why: the fact about it knows."""
        kind = _FACTS.get(reason.verdict)
        if kind is None:
            return reason
        query = EventQuery(types=(GATEWAY_TYPE_PREFIX + kind,), subject=stream.id, limit=1)
        found = await self._log.search(query)
        if not found or found[0].envelope is None:
            return reason
        fact, cause = found[0], _cause(parse_structured(found[0].envelope))
        said = f" (by {cause})" if cause == "a command" else f" ({cause})" if cause else ""
        sentence = (
            f"{reason.sentence} It is since {rfc3339(fact.appended_at_us)}, position {fact.position}{said}."
        )
        return replace(reason, sentence=sentence)


def _cause(envelope: Envelope) -> str:
    return str(envelope.data().get("cause", ""))


def _answer(position: int, stream: SubscriptionHistory, reason: Reason) -> Json:
    force = stream.revision_at(position)
    return {
        "position": position,
        "subscription": stream.id,
        "verdict": reason.verdict.value,
        "sentence": reason.sentence,
        "until": None if reason.until_us is None else rfc3339(reason.until_us),
        "lag_events": reason.lag,
        "blocked_by": reason.blocked_by,
        "state": stream.state.value,
        "revision": {"in_force": force.revision, "present": stream.revisions[-1].revision},
        "clauses": [],
        "delivery": None,
    }


def _details(situation: Situation) -> Json:
    """Every clause of the selection in force, and the delivery with its attempts."""
    entry, stream = situation.entry, situation.stream
    clauses: list[Json] = []
    if situation.attributes is not None and entry.addressee is None:
        selector = stream.revision_at(entry.position).selector
        clauses = [_clause_json(item) for item in selector.trace(situation.attributes, entry.organization)]
    delivery = None
    if situation.attempts or situation.pending is not None:
        delivery = delivery_json(
            entry,
            stream.number,
            situation.attempts,
            stream.id,
            situation.pending,
            deleted=stream.state is SubscriptionState.DELETED,
        )
    return {"clauses": clauses, "delivery": delivery}


def _clause_json(clause: Clause) -> Json:
    return {
        "pointer": clause.pointer,
        "rule": clause.rule,
        "matches": clause.matches,
        "detail": clause.detail,
        "attribute": clause.attribute,
        "expected": clause.expected,
        "actual": clause.actual,
        "parts": [_clause_json(part) for part in clause.parts],
    }
