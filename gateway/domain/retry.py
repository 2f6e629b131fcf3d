"""What happens after an attempt: S3e and S3f, answer by answer, as arithmetic.

The clock and the jitter are arguments; nothing here waits, reads a setting or remembers. Seconds
throughout, moments as seconds since the Unix epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final, TypeAlias

from gateway.domain.delivery import Decision
from gateway.domain.sending import SendErrorKind

DEFAULT_SCHEDULE_S: Final[tuple[float, ...]] = (
    5,
    5 * 60,
    30 * 60,
    2 * 3600,
    5 * 3600,
    10 * 3600,
    14 * 3600,
    20 * 3600,
    24 * 3600,
)
"""Delays between the attempts of a round: ten attempts in a little over three days."""

SPREAD: Final = 0.2
"""Each delay is drawn from ±20 % around it, so that a sink which comes back is not met by all at once."""

WAIT_S_MAX: Final = 24 * 3600.0
"""The longest wait a receiver may ask for; a longer one pauses the subscription (CONFORMANCE 27)."""

WAIT_S_MIN: Final = 1.0
"""The shortest: `Retry-After: 0` must not become a loop without a pause."""

WAIT_S_DEFAULT: Final = 5.0
"""For a 429 that does not say how long, where there is no schedule to take it from."""

AGE_S_MAX: Final = 4 * 24 * 3600.0
"""Waits are not counted, so they end by the age of the round instead."""

_SUCCESS: Final = range(200, 300)
_CLIENT_ERROR: Final = range(400, 500)
_SERVER_ERROR: Final = range(500, 600)
_RETRIED: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        # Gone disables the stream; the delivery itself stays pending for a resume (S3f).
        HTTPStatus.GONE,
    }
)

REFUSED: Final = "refused"
"""The error class of an attempt that had nowhere to go: a name that does not resolve, or only to addresses
that the egress guard refuses. To a subscriber both say the same: the gateway could not, or would not,
connect."""

CRASH: Final = "crash"
"""The error class of a delivery that is parked."""

_NOWHERE_TO_SEND: Final = frozenset({SendErrorKind.REFUSED, SendErrorKind.DNS})


@dataclass(slots=True)
class Answered:
    """The sink answered: a final status, and the seconds of a valid `Retry-After` (`retry_after.py`)."""

    status: int
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """There was no answer."""

    kind: SendErrorKind


@dataclass(frozen=True, slots=True)
class NotSent:
    """It was settled unsent: `expired`, `erased` or `cancelled`; ValueError for another decision."""

    decision: Decision

    def __post_init__(self) -> None:
        if self.decision not in {Decision.EXPIRED, Decision.ERASED, Decision.CANCELLED}:
            raise ValueError(f"{self.decision} is decided by an attempt, not before it")


@dataclass(frozen=True, slots=True)
class Parked:
    """It was settled unsent because so many processes ended while they delivered it (S3c)."""

    crashes: int


Outcome: TypeAlias = Answered | Failed | NotSent | Parked


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an outcome means.

    Attributes:
        decision: What the attempt row says.
        counts: Whether it counts against the retry schedule.
        next_at: When the next attempt is due; set exactly where the decision is `failed`.
        wait_lane_s: How long the whole stream of the subscription stands still; None: it does not.
        pause: Whether the subscription is paused, with a fact, since it asked for a longer wait than is
            granted.
        disable: Whether the subscription is disabled, if the attempt's revision is still the current one
            (S3f).
        error_class: For anything but a success, what went wrong in a word of a small set: the status as
            text (as OpenTelemetry's `error.type`), or the kind of the send error.
    """

    decision: Decision
    counts: bool = False
    next_at: float | None = None
    wait_lane_s: float | None = None
    pause: bool = False
    disable: bool = False
    error_class: str | None = None


DELIVERED: Final = Settlement(Decision.DELIVERED)
"""What any 2xx means, whatever came before it."""


def decide(
    outcome: Outcome,
    *,
    failures_in_round: int,
    schedule: Sequence[float],
    now_s: float,
    jitter: float,
    round_started_s: float,
    counting: bool = True,
) -> Settlement:
    """Settle one attempt.

    Args:
        outcome: How it ended.
        failures_in_round: Attempts of this round before it that counted.
        schedule: Delays of the subscription in seconds; an empty one allows one attempt.
        now_s: When it ended.
        jitter: Drawn by the caller from [0, 1).
        round_started_s: When the first attempt of this round began: waits end 4 days later.
        counting: Whether what it comes to may count: not while the breaker is open (S3g).
    """
    if isinstance(outcome, Answered) and outcome.status in _SUCCESS:
        return DELIVERED
    if isinstance(outcome, Answered) and _asks_to_wait(outcome):
        return _wait(
            outcome, _wait_s(outcome, schedule, jitter), now_s=now_s, round_started_s=round_started_s
        )
    last = _last(outcome)
    if not counting:
        last = replace(last, counts=False)
    if not _tried_again(outcome) or not schedule:
        return last
    # What does not count uses nothing up, so it ends by age as the waits do.
    ended = failures_in_round >= len(schedule) if counting else now_s - round_started_s >= AGE_S_MAX
    if ended:
        return last
    delay_s = schedule[min(failures_in_round, len(schedule) - 1)]
    return replace(last, decision=Decision.FAILED, next_at=now_s + spread(delay_s, jitter))


def succeeded(outcome: Outcome) -> bool:
    """Whether the sink took it: any 2xx (CONFORMANCE 25)."""
    return isinstance(outcome, Answered) and outcome.status in _SUCCESS


def splits(outcome: Outcome) -> bool:
    """Whether a batch that met this is tried in halves (S10a): 413, or another 4xx that no retry would change."""
    return (
        isinstance(outcome, Answered)
        and outcome.status in _CLIENT_ERROR
        and not _tried_again(outcome)
        and not _asks_to_wait(outcome)
    )


def spread(delay_s: float, jitter: float) -> float:
    """The delay, moved within ±20 % by a jitter from [0, 1)."""
    return delay_s * (1 - SPREAD + 2 * SPREAD * jitter)


def _last(outcome: Outcome) -> Settlement:
    """What an outcome that is no success means where nothing is left to try."""
    match outcome:
        case NotSent():
            return Settlement(outcome.decision)
        case Parked():
            return Settlement(Decision.EXHAUSTED, error_class=CRASH)
        case Failed():
            if outcome.kind in _NOWHERE_TO_SEND:
                return Settlement(Decision.REFUSED, counts=True, error_class=REFUSED)
            return Settlement(Decision.EXHAUSTED, counts=True, error_class=outcome.kind.value)
        case Answered():
            gone = outcome.status == HTTPStatus.GONE
            return Settlement(Decision.EXHAUSTED, counts=True, disable=gone, error_class=str(outcome.status))


def _tried_again(outcome: Outcome) -> bool:
    """Whether the schedule holds for it; a wait that the receiver asks for is not of the schedule."""
    match outcome:
        case NotSent() | Parked():
            return False
        case Failed():
            return True
        case Answered():
            return outcome.status in _RETRIED or outcome.status in _SERVER_ERROR


def _asks_to_wait(answer: Answered) -> bool:
    return answer.status == HTTPStatus.TOO_MANY_REQUESTS or (
        answer.status == HTTPStatus.SERVICE_UNAVAILABLE and answer.retry_after_s is not None
    )


def _wait_s(answer: Answered, schedule: Sequence[float], jitter: float) -> float:
    """How long: as asked, else as long as a first retry would wait."""
    if answer.retry_after_s is not None:
        return max(answer.retry_after_s, WAIT_S_MIN)
    wait_s = spread(schedule[0] if schedule else WAIT_S_DEFAULT, jitter)
    return min(max(wait_s, WAIT_S_MIN), WAIT_S_MAX)


def _wait(answer: Answered, wait_s: float, *, now_s: float, round_started_s: float) -> Settlement:
    error_class = str(answer.status)
    if now_s - round_started_s >= AGE_S_MAX:
        return Settlement(Decision.EXHAUSTED, error_class=error_class)
    if wait_s > WAIT_S_MAX:
        # Due at once: the pause is what holds it, and whoever resumes wants it tried.
        return Settlement(Decision.FAILED, next_at=now_s, pause=True, error_class=error_class)
    return Settlement(Decision.FAILED, next_at=now_s + wait_s, wait_lane_s=wait_s, error_class=error_class)
