"""One explicit line for people with a fork of Letta: `WebhookManager().publish_event(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import schemas
from letta_emitter.emitter import Emitter, get_emitter

if TYPE_CHECKING:
    from otel.traceparent import TraceParent


class WebhookManager:
    """Publishes events by name. A plain call, no `await`: it returns in microseconds, like `Emitter.emit`."""

    def __init__(self, emitter: Emitter | None = None) -> None:
        self._emitter = emitter

    def publish_event(
        self,
        event_type: str,
        *,
        agent_id: str | None,
        organization_id: str,
        data: Mapping[str, Any],
        run_id: str | None = None,
        event_id: str | None = None,
        timestamp: datetime | None = None,
        trace: TraceParent | None = None,
        tracestate: str | None = None,
        causationid: str | None = None,
    ) -> str:
        """Publish one event and return its id.

        Nothing about the transport is ever raised: Redis, the spool and the settings are the emitter's own
        concern, and without settings this does nothing. A wrong *call* is raised, also when the emitter is
        off, so that it is found in the first test and not in production.

        Args:
            event_type: `agent.step.completed` or `com.letta.agent.step.completed`, and so on.
            agent_id: the agent; None only for a job without one.
            organization_id: the organization, `actor.organization_id` in Letta.
            data: what the event's contract names: at least the subject's id, and `status` where there is one.
            run_id: put into `data` for you, where it is not there yet.
            event_id: yours, if the same thing may be told twice and must collapse (`schemas.event_id`); else random.
            timestamp: when it happened, with a time zone; now, if not given.
            trace: where it came to be; without it the current OpenTelemetry span, else a trace that begins here.
            tracestate: the vendor part of `trace`.
            causationid: the id of the event that this one follows from.

        Raises:
            ValueError: the type is unknown, or a member is missing or wrong; the text says which.
        """
        short = event_type.removeprefix(schemas.TYPE_PREFIX)
        if short not in schemas.SHORT_NAMES:
            raise ValueError(f"unknown event type {event_type!r}; known are {', '.join(schemas.SHORT_NAMES)}")
        content = dict(data)
        if run_id is not None:
            content.setdefault("run_id", run_id)
        event = schemas.parse_letta_event(
            {
                "event_id": schemas.random_event_id() if event_id is None else event_id,
                "event_type": short,
                "timestamp": datetime.now(UTC) if timestamp is None else timestamp,
                "agent_id": agent_id,
                "organization_id": organization_id,
                "data": content,
            }
        )
        emitter = get_emitter() if self._emitter is None else self._emitter
        emitter.emit(event, trace=trace, tracestate=tracestate, causationid=causationid)
        return event.event_id
