"""A recorded run of a real Letta agent, replayed through the real mapping and a real emitter.

`run.json` holds what the hooks saw of a Letta server, before anything of ours was made of it;
`tests/letta/record.py` records it anew.
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Final, Protocol

from pydantic import TypeAdapter

from letta_emitter.mapping import Call, Outcome, outcomes
from otel.origin import emitted_span_id
from schemas import LettaEvent, random_event_id

if TYPE_CHECKING:
    from otel.traceparent import TraceParent

FILE: Final = "run.json"
CALLS: Final[TypeAdapter[list[Call]]] = TypeAdapter(list[Call])

# Letta's ids are a word and a random UUID. The organization stays: every installation has the same one.
_LETTA_ID: Final = re.compile(
    r"\b(?!org-|user-)([a-z][a-z_]*)-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\b"
)
_EVENT_ID: Final = re.compile(r"\bevt_[a-z2-7]{32}\b")
_TIME: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class Emits(Protocol):
    """What a replay needs of an emitter."""

    def emit(
        self,
        event: LettaEvent,
        *,
        trace: TraceParent | None = None,
        tracestate: str | None = None,
        causationid: str | None = None,
    ) -> None:
        """Put an event into the spool."""


def replay(emitter: Emits, *, fresh_ids: bool) -> list[str]:
    """Emit the recorded run; return the ids of its events in the order in which they went.

    Args:
        emitter: Where they go.
        fresh_ids: Give the run new ids and move it to now, so that replays differ from each other; what
            belongs together in the recording still does.
    """
    emitted: list[str] = []
    for outcome in _outcomes(load(fresh_ids=fresh_ids)):
        # As the hooks do it: the recorded server made no spans.
        trace = outcome.trace.with_span(emitted_span_id(outcome.event.event_id))
        emitter.emit(
            outcome.event, trace=trace, tracestate=outcome.tracestate, causationid=outcome.causationid
        )
        emitted.append(outcome.event.event_id)
    return emitted


def load(*, fresh_ids: bool) -> list[Call]:
    """Read the recorded calls, as they were or with new ids and times."""
    text = resources.files(__name__).joinpath(FILE).read_text(encoding="utf-8")
    text = json.dumps(json.loads(text)["calls"])
    return CALLS.validate_json(_renewed(text, datetime.now(UTC)) if fresh_ids else text)


def _outcomes(calls: list[Call]) -> list[Outcome]:
    """The events of all calls, each once: Letta ends some runs twice in the same way."""
    found = {outcome.event.event_id: outcome for call in reversed(calls) for outcome in outcomes(call)[::-1]}
    return list(found.values())[::-1]


def _renewed(text: str, now: datetime) -> str:
    """The same calls with each id replaced by a new one, and all times moved so that the last is `now`."""
    ids: dict[str, str] = {}

    def new_id(match: re.Match[str]) -> str:
        return ids.setdefault(match[0], f"{match[1]}-{uuid.uuid4()}")

    def new_event_id(match: re.Match[str]) -> str:
        return ids.setdefault(match[0], random_event_id())

    times = [datetime.fromisoformat(found) for found in _TIME.findall(text)]
    later = now - max(times, default=now)

    def new_time(match: re.Match[str]) -> str:
        return (datetime.fromisoformat(match[0]) + _whole(later)).isoformat()

    return _TIME.sub(new_time, _EVENT_ID.sub(new_event_id, _LETTA_ID.sub(new_id, text)))


def _whole(span: timedelta) -> timedelta:
    """The span without fractions of a millisecond, so that times keep the look they have."""
    return timedelta(milliseconds=span // timedelta(milliseconds=1))
