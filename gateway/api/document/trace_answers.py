"""The shape of the timed path of an event."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from gateway.api.document.event_answers import EventName
from gateway.api.document.shape import Count, Position, Shape
from gateway.domain.delivery import Decision, State


class TraceStep(Shape):
    """A step on the way to the log."""

    step: str
    at: datetime | None
    since_begin_ms: float | None
    unknown: str | None
    """Why the time is not known."""
    trace_id: str | None
    span_id: str | None


class TraceGap(Shape):
    """What lies between two known moments."""

    name: str
    from_: Annotated[str, Field(alias="from")]
    to: str
    duration_ms: float


class TracePlace(Shape):
    """A span."""

    trace_id: str | None
    span_id: str | None


class TraceAttempt(TracePlace):
    """An attempt, on the way of its event."""

    number: Annotated[int, Field(ge=1)]
    round: Count
    cause: str
    at: datetime
    ended_at: datetime
    since_begin_ms: float
    duration_ms: float
    decision: Decision
    status: int | None
    error_class: str | None
    batch: str | None
    replay: int | None
    after: TracePlace | None
    """The attempt before it."""


class TraceDelivery(Shape):
    """The way to one sink."""

    id: str
    subscription: str
    state: State
    round: Count
    next_at: datetime | None
    duration_ms: float
    attempts: list[TraceAttempt]
    gaps: list[TraceGap]


class TraceEvent(EventName):
    """Which event it is."""

    subject: str | None


class Trace(Shape):
    """The timed path of one event."""

    position: Position
    event: TraceEvent
    trace_id: str | None
    span_id: str | None
    sampled: bool | None
    trace_begins: Literal["producer", "emitter", "gateway"] | None
    """Who began the trace; null once the event was erased."""
    came_by: Literal["gateway", "http", "stream"]
    began_at: datetime
    ended_at: datetime
    duration_ms: float
    clocks_differ: bool
    steps: list[TraceStep]
    gaps: list[TraceGap]
    deliveries: list[TraceDelivery]
    next: str | None
    """The next page of deliveries."""
