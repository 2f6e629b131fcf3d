"""`docs/state-machine.md`, written from the code it describes: `python -m gateway.domain.state_machine`.

A test compares the committed page with this, so that the page cannot tell anything else than the code does.
"""

import sys
from collections.abc import Iterable
from typing import Final

from gateway.domain.delivery import TRANSITIONS, Decision, Round, State
from gateway.domain.retry import (
    AGE_S_MAX,
    DEFAULT_SCHEDULE_S,
    WAIT_S_MAX,
    Answered,
    Failed,
    NotSent,
    Outcome,
    Parked,
    Settlement,
    decide,
)
from gateway.domain.sending import SendErrorKind

_HOUR_S: Final = 3600
_INTRODUCTION: Final = """\
# The life of a delivery

Generated from `gateway/domain/delivery.py` and `gateway/domain/retry.py` by
`python -m gateway.domain.state_machine > docs/state-machine.md`. Do not edit.

A delivery is one event for one subscription. Everything that is settled about it, sent or not, is an
*attempt*, and an attempt row holds its decision, its round, whether it counts and when the next one is due.
The state of the delivery is what its attempts fold to; nothing else is stored about it. `pending` covers in
flight and waiting for a retry.
"""
_MEANINGS: Final = {
    State.PENDING: "dispatched and not ended: in flight, or waiting for its next attempt",
    State.DELIVERED: "the receiver answered 2xx",
    State.EXHAUSTED: "nothing left to try; kept, listed, retriable by hand or by replay",
    State.EXPIRED: "the event's `expirytime` passed before it was delivered",
    State.REFUSED: (
        "nothing left to try, and the last attempt had nowhere to go: the sink's name does not resolve, or "
        "the egress guard refuses its addresses. Earlier ones in the round are `failed`, with the error "
        "class `refused`, and tried again"
    ),
    State.ERASED: "the payload was erased before it was delivered; a replay can only say so again",
    State.CANCELLED: "given up by a command, such as the end of a replay or of the subscription",
}
_ROUNDS: Final = """\
## Rounds

The first round is the live one, number 0. A replay, or a retry by hand of a delivery that has ended, opens
the next round with a schedule of its own; attempt numbers go on. The state is that of the last round, and
`first_delivered_at` keeps the first success whatever comes after. An attempt that the table does not allow
raises `IllegalTransition` and changes nothing.
"""
_ROWS: Final[tuple[tuple[str, Outcome], ...]] = (
    ("any 2xx", Answered(204)),
    ("3xx (never followed)", Answered(302)),
    ("401, 403, 404, 408, 409", Answered(404)),
    ("410", Answered(410)),
    ("429, `Retry-After: 60`", Answered(429, 60)),
    ("429 without a valid `Retry-After`", Answered(429)),
    ("429, `Retry-After` over 24 h", Answered(429, WAIT_S_MAX + 1)),
    ("other 4xx", Answered(422)),
    ("503, `Retry-After: 60`", Answered(503, 60)),
    ("other 5xx, 503 without `Retry-After`", Answered(503)),
    *((f"no answer: `{kind.value}`", Failed(kind)) for kind in SendErrorKind),
    ("`expirytime` passed", NotSent(Decision.EXPIRED)),
    ("payload erased", NotSent(Decision.ERASED)),
    ("cancelled", NotSent(Decision.CANCELLED)),
    ("three processes ended while they delivered it", Parked(3)),
)


def markdown() -> str:
    """The whole page."""
    schedule = ", ".join(_duration(delay_s) for delay_s in DEFAULT_SCHEDULE_S)
    return "\n".join(
        (
            _INTRODUCTION,
            *_diagram(),
            "",
            *_table(("state", "meaning"), ((f"`{state}`", meaning) for state, meaning in _MEANINGS.items())),
            "",
            _ROUNDS,
            *_table(("state", "in the same round", "in the next round"), map(_row_of_state, State)),
            "",
            "## What an attempt decides",
            "",
            f"The default schedule is {schedule}, each ±20 %:",
            f"{len(DEFAULT_SCHEDULE_S) + 1} attempts in all. Waits that a receiver asks for do not count",
            f"against it; one asked for {_duration(AGE_S_MAX)} after the round began, or later, ends it.",
            "",
            *_table(
                ("outcome", "while the schedule lasts", "when it has ended", "counts", "also"),
                (_row_of_outcome(name, outcome) for name, outcome in _ROWS),
            ),
            "",
        )
    )


def _diagram() -> Iterable[str]:
    """The states and what moves a delivery between them; the arcs out of ended ones are all `next round`."""
    yield from ("```mermaid", "stateDiagram-v2", "    [*] --> pending")
    for (state, round_, decision), after in TRANSITIONS.items():
        if state is State.PENDING and round_ is Round.SAME:
            yield f"    {state} --> {after}: {decision}"
    for state in State:
        if state.terminal and (state, Round.NEXT, Decision.FAILED) in TRANSITIONS:
            yield f"    {state} --> pending: next round"
    yield "```"


def _row_of_state(state: State) -> tuple[str, ...]:
    return (f"`{state}`", _allowed(state, Round.SAME), _allowed(state, Round.NEXT))


def _allowed(state: State, round_: Round) -> str:
    decisions = [decision for decision in Decision if (state, round_, decision) in TRANSITIONS]
    if len(decisions) == len(Decision):
        return "any decision"
    return ", ".join(f"`{decision}`" for decision in decisions) or "nothing"


def _row_of_outcome(name: str, outcome: Outcome) -> tuple[str, ...]:
    first, last = _settle(outcome, 0), _settle(outcome, len(DEFAULT_SCHEDULE_S))
    return (
        name,
        f"`{first.decision}`",
        f"`{last.decision}`",
        "yes" if first.counts else "no",
        _effects(first),
    )


def _settle(outcome: Outcome, failures: int) -> Settlement:
    return decide(
        outcome,
        failures_in_round=failures,
        schedule=DEFAULT_SCHEDULE_S,
        now_s=0,
        jitter=0.5,
        round_started_s=0,
    )


def _effects(settlement: Settlement) -> str:
    effects = []
    if settlement.disable:
        effects.append("the subscription is disabled")
    if settlement.pause:
        effects.append("the subscription is paused")
    if settlement.wait_lane_s is not None:
        effects.append(f"the stream waits {_duration(settlement.wait_lane_s)}")
    return "; ".join(effects)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterable[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |".replace("|  |", "| |")


def _duration(seconds: float) -> str:
    """Seconds as a person writes them: 5 s, 5 min, 2 h, 4 days."""
    for unit, size in (("days", 24 * _HOUR_S), ("h", _HOUR_S), ("min", 60)):
        if seconds > size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


if __name__ == "__main__":
    sys.stdout.write(markdown())
