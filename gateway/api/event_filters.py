"""By what events are chosen, in a list of them and in a stream."""

from typing import Annotated

from fastapi import Depends, Query

from gateway.api.auth import Caller
from gateway.domain.filters import full_types
from gateway.ports import EventQuery


def asked_of_events(
    caller: Caller,
    *,
    type_: Annotated[list[str] | None, Query(alias="type", description="Short or full, repeatable")] = None,
    source: str | None = None,
    subject: str | None = None,
    agent_id: str | None = None,
    organization_id: str | None = None,
    run_id: str | None = None,
) -> EventQuery:
    """Those that the caller may see and that the parameters ask for; a route adds what is its own."""
    return EventQuery(
        organization=caller.organization,
        types=tuple(name for given in type_ or () for name in full_types(given)),
        source=source,
        subject=subject,
        agent_id=agent_id,
        organization_id=organization_id,
        run_id=run_id,
    )


Asked = Annotated[EventQuery, Depends(asked_of_events)]
