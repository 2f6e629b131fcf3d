"""Why an event was, or was not, delivered to a subscription: one verdict and one sentence, pure.

Three questions in this order, and the first that has something to say decides: what became of the delivery, if there
is one; whether the event belongs to the stream; what holds the stream back before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.breaker import StreamNote
from gateway.domain.clauses import first_failure
from gateway.domain.delivery import Decision, State, fold
from gateway.domain.dialects import Attributes
from gateway.domain.facts import rfc3339
from gateway.domain.handshake import Consent, HandshakeState
from gateway.domain.lane import PENDING_MAX
from gateway.domain.pending import PendingDelivery
from gateway.ports import AttemptRecord, Entry, SubscriptionHistory, SubscriptionState


class Verdict(StrEnum):
    """The stable words of `explain`."""

    NOT_IN_LOG = "not_in_log"
    # It belongs to another stream, or to none.
    ADDRESSED_ELSEWHERE = "addressed_elsewhere"
    ORGANIZATION = "organization"
    GATEWAY_FACT = "gateway_fact"
    FEEDBACK = "feedback"
    NO_MATCH = "no_match"
    EARLIER_REVISION = "earlier_revision"
    """The filters in force there kept it away; those of now would not."""
    BEFORE_START = "before_start"
    SKIPPED = "skipped"
    # It belongs to the stream, which has not come to it, or does not go on with it.
    DELETED = "deleted"
    DISABLED = "disabled"
    PAUSED = "paused"
    HANDSHAKE = "handshake"
    """The sink has not agreed to be sent anything."""
    BREAKER_OPEN = "breaker_open"
    BACKLOGGED = "backlogged"
    BLOCKED = "blocked"
    PULL_ONLY = "pull_only"
    """It is there to be fetched; nothing is sent."""
    NOT_REACHED = "not_reached"
    # It was dispatched.
    IN_FLIGHT = "in_flight"
    WAITING = "waiting"
    DELIVERED = "delivered"
    EXHAUSTED = "exhausted"
    EXPIRED = "expired"
    REFUSED = "refused"
    ERASED = "erased"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Reason:
    """A verdict in words.

    Attributes:
        verdict: The stable word.
        sentence: What it comes to, for a person.
        until_us: When something is to happen by itself: the next attempt, the next probe.
        lag: Positions that the stream has to pass before it has this one behind it.
        blocked_by: The position whose delivery has to end first (S4b).
    """

    verdict: Verdict
    sentence: str
    until_us: int | None = None
    lag: int | None = None
    blocked_by: int | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """All that is known about one event and one subscription.

    Attributes:
        entry: The event.
        attributes: The event's own, None once it is erased.
        stream: The subscription.
        passed: The position up to which its stream is dispatched.
        attempts: The delivery's attempts, in order.
        pending: The delivery's row, where it is not terminal.
        watched: Whether the event is a fact about a subscription that asks for facts (S1e).
        note: What is remembered of the stream while its sink is not well (S3e, S3g).
        now_us: When this is asked.
        head: The delivery that blocks the event's key in an ordered stream (S4b).
        pull_only: Whether the stream is only fetched (S10b).
        consent: Where the handshake stands, if the sink has to agree first; None: it has not to.
        pace: What the stream's own limits are, in a sentence.
    """

    entry: Entry
    attributes: Attributes | None
    stream: SubscriptionHistory
    passed: int
    attempts: Sequence[AttemptRecord] = ()
    pending: PendingDelivery | None = None
    watched: bool = False
    note: StreamNote | None = None
    now_us: int = 0
    head: PendingDelivery | None = None
    pull_only: bool = False
    consent: Consent | None = None
    pace: str | None = None


def reason_of(situation: Situation) -> Reason:
    """The verdict on an event that is in the log."""
    return _settled(situation) or _dispatched(situation) or _outside(situation) or _ahead(situation)


def not_in_log(position: int, head: int) -> Reason:
    """The verdict on a position that holds no event."""
    if position > head:
        sentence = f"Nothing was appended at position {position} yet: the log ends at {head}."
    else:
        sentence = f"The log holds no event at position {position} any more."
    return Reason(Verdict.NOT_IN_LOG, sentence)


def _open(situation: Situation) -> bool:
    """Whether the delivery goes on."""
    if situation.pending is not None:
        return True
    return bool(situation.attempts) and fold(situation.attempts).state is State.PENDING


def _settled(situation: Situation) -> Reason | None:
    """What the delivery ended with; None: it has not ended, or never began."""
    attempts = situation.attempts
    if not attempts or _open(situation):
        return None
    last = attempts[-1]
    said = _SAID_OF.get(last.decision)
    if said is None:
        return None
    at = rfc3339(last.ended_at_us)
    sentence = said.format(n=last.attempt, at=at, why=why(last))
    first_us = fold(attempts).first_delivered_at_us
    if last.decision is not Decision.DELIVERED and first_us is not None:
        sentence += f" An earlier round had delivered it, at {rfc3339(first_us)}."
    return Reason(Verdict(last.decision.value), sentence)


_SAID_OF: Mapping[Decision, str] = {
    Decision.DELIVERED: "Delivered by attempt {n} at {at}: {why}.",
    Decision.EXHAUSTED: (
        "Given up with attempt {n} at {at}: {why}. It is kept, and not tried again unless somebody asks for it."
    ),
    Decision.EXPIRED: "Its `expirytime` had passed at {at}, before it was delivered; it is not sent any more.",
    Decision.REFUSED: (
        "Given up with attempt {n} at {at}, since there was nowhere to send it: {why}. It is kept, and not tried "
        "again unless somebody asks for it."
    ),
    Decision.ERASED: "Its payload had been erased by {at}, before it was delivered.",
    Decision.CANCELLED: "Cancelled by a command at {at}.",
}


def _dispatched(situation: Situation) -> Reason | None:
    """Where the delivery stands that has not ended; None: there is none."""
    if not _open(situation):
        return None
    pending, attempts = situation.pending, situation.attempts
    following = len(attempts) + 1
    if pending is not None and pending.next_at_us is None:
        again = f"; {pending.crashes} processes ended while it was" if pending.crashes else ""
        return Reason(Verdict.IN_FLIGHT, f"Attempt {following} is in flight{again}.")
    due_us = attempts[-1].next_at_us if pending is None else pending.next_at_us
    past = f"Attempt {attempts[-1].attempt} failed: {why(attempts[-1])}. " if attempts else ""
    stopped = _stopped(situation, f"{past}Attempt {following} waits:")
    if stopped is not None:
        return stopped
    due = "" if due_us is None else f" It is due at {rfc3339(due_us)}."
    return Reason(Verdict.WAITING, f"{past}Attempt {following} is to come.{due}", until_us=due_us)


def _outside(situation: Situation) -> Reason | None:
    """Why the event does not belong to this stream; None: it does, as far as can be told."""
    entry, stream = situation.entry, situation.stream
    if entry.addressee is not None:
        if entry.addressee == stream.number:
            return None
        return Reason(Verdict.ADDRESSED_ELSEWHERE, "The event is addressed to another subscription alone.")
    if situation.attributes is None:
        return Reason(
            Verdict.ERASED,
            "Its payload was erased before it was dispatched; whether it matched cannot be told any more.",
        )
    refusal = _unselected(situation, situation.attributes)
    if refusal is not None:
        return refusal
    if entry.position <= stream.start_position:
        return Reason(
            Verdict.BEFORE_START,
            f"The stream begins behind position {stream.start_position}; a replay can send what lies before.",
        )
    return None


def _unselected(situation: Situation, attributes: Attributes) -> Reason | None:
    """What the selection in force at the event says against it."""
    entry, stream = situation.entry, situation.stream
    force, now = stream.revision_at(entry.position), stream.revisions[-1]
    selector = force.selector
    if not selector.sees(entry.organization):
        return Reason(
            Verdict.ORGANIZATION, "The event belongs to an organization that the subscription is not for."
        )
    if not selector.asks_for(entry.type):
        return Reason(
            Verdict.GATEWAY_FACT,
            "It is a fact of the gateway, and those go to subscriptions alone that name their full type.",
        )
    failing = first_failure(selector.trace(attributes, entry.organization))
    if failing is None:
        return _watched(situation)
    detail = f"{failing.pointer} does not match: {failing.detail}"
    if force.revision == now.revision:
        return Reason(Verdict.NO_MATCH, f"{detail}.")
    if not now.selector.matches(attributes, entry.organization):
        sentence = f"{detail}. This is revision {force.revision}, which was in force there."
        return Reason(Verdict.NO_MATCH, sentence)
    return Reason(
        Verdict.EARLIER_REVISION,
        f"Revision {force.revision} was in force there, and its {detail}. "
        f"Revision {now.revision} would match, and is in force behind position {now.position}.",
    )


def _watched(situation: Situation) -> Reason | None:
    if not situation.watched:
        return None
    return Reason(
        Verdict.FEEDBACK,
        "It is a fact about a subscription that asks for facts itself: those are recorded and sent to nobody, so "
        "that no stream feeds itself.",
    )


def _ahead(situation: Situation) -> Reason:
    """Why an event that belongs to the stream has no delivery."""
    position, passed, stream = situation.entry.position, situation.passed, situation.stream
    lag = max(0, position - passed)
    stopped = _stopped(situation, "It was not sent:", lag)
    if stream.state is SubscriptionState.DELETED and stopped is not None:
        return stopped
    if not lag:
        return _passed_over(situation)
    if stopped is not None:
        return stopped
    if situation.pull_only:
        sentence = (
            "The subscription is only pulled: the event is in its stream, to be fetched, and is sent nowhere."
        )
        return Reason(Verdict.PULL_ONLY, sentence)
    come = f"The stream has come to position {passed}, {lag} short of having this one behind it"
    if stream.pending >= PENDING_MAX:
        sentence = f"{come}, and starts nothing new while {stream.pending} deliveries are pending."
        return Reason(Verdict.BACKLOGGED, sentence, lag=lag)
    paced = "" if situation.pace is None else f" {situation.pace}"
    return Reason(Verdict.NOT_REACHED, f"{come}.{paced}", lag=lag)


def _passed_over(situation: Situation) -> Reason:
    """Why the stream has this event behind it, and no delivery of it."""
    head = situation.head
    if head is None or head.position >= situation.entry.position:
        sentence = "The stream was resumed from now behind it, so it was left out; a replay can send it."
        return Reason(Verdict.SKIPPED, sentence)
    sentence = (
        f"It stands behind position {head.position}, which has the same partition key and has not ended."
    )
    return Reason(Verdict.BLOCKED, sentence, until_us=head.next_at_us, blocked_by=head.position)


def _stopped(situation: Situation, begin: str, lag: int | None = None) -> Reason | None:
    """What makes the whole stream stand still, if something does."""
    note, consent = situation.note, situation.consent
    match situation.stream.state:
        case SubscriptionState.DELETED:
            return Reason(Verdict.DELETED, f"{begin} the subscription is deleted.")
        case SubscriptionState.DISABLED:
            sentence = f"{begin} the subscription is disabled, and goes on when it is resumed."
            return Reason(Verdict.DISABLED, sentence, lag=lag)
        case SubscriptionState.PAUSED:
            sentence = f"{begin} the subscription is paused, and goes on when it is resumed."
            return Reason(Verdict.PAUSED, sentence, lag=lag)
        case SubscriptionState.ACTIVE if consent is not None and not (consent.granted or consent.unasked):
            again = consent.next_at_us
            sentence = f"{begin} the sink has not agreed to be sent anything. {_HANDSHAKE[consent.state]}"
            sentence += f" Its answer: {consent.detail}." if consent.detail else ""
            sentence += "" if again is None else f" It is asked again at {rfc3339(again)}."
            return Reason(Verdict.HANDSHAKE, sentence, until_us=again, lag=lag)
        case SubscriptionState.ACTIVE if note is not None:
            return _unwell(situation, note, begin, lag)
        case _:
            return None


def _unwell(situation: Situation, note: StreamNote, begin: str, lag: int | None) -> Reason | None:
    """What its sink makes it wait for."""
    if note.opened_at_us is not None:
        probe = "" if note.probe_at_us is None else f" The next probe is due at {rfc3339(note.probe_at_us)}."
        sentence = (
            f"{begin} the sink fails, so the stream stands still since {rfc3339(note.opened_at_us)}.{probe}"
        )
        return Reason(Verdict.BREAKER_OPEN, sentence, until_us=note.probe_at_us, lag=lag)
    until_us = note.waits_until_us or 0
    if not lag or until_us <= situation.now_us:
        return None  # a delivery that waits for its own attempt says so itself
    sentence = f"{begin} the sink asked for a pause, and gets nothing before {rfc3339(until_us)}."
    return Reason(Verdict.WAITING, sentence, until_us=until_us, lag=lag)


_HANDSHAKE: Mapping[HandshakeState, str] = {
    HandshakeState.REQUESTED: "It is about to be asked.",
    HandshakeState.ASKED: "It is being asked.",
    HandshakeState.REFUSED: "It was asked, and may still agree by its callback; `validate` asks again.",
    HandshakeState.UNANSWERED: "It could not be asked; `validate` asks at once.",
}


def why(attempt: AttemptRecord) -> str:
    """How an attempt ended, in a few words."""
    if attempt.status is not None:
        return f"the sink answered {attempt.status}"
    said = [part for part in (attempt.error_class, attempt.detail) if part]
    return ": ".join(dict.fromkeys(said)) or "nothing was sent"
