# No `from __future__ import annotations`: FastAPI reads the annotations below.
"""The parameters of a list of deliveries that go on to the gateway, which judges them; nothing else goes on."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query
from pydantic import StringConstraints

_TEXT_CHARS_MAX = 1024
_REPEATED_MAX = 50
"""As often as the gateway takes `type`."""

_Word = Annotated[str, StringConstraints(max_length=_TEXT_CHARS_MAX)]


async def asked_of_deliveries(
    *,
    state: Annotated[
        list[_Word] | None,
        Query(
            max_length=_REPEATED_MAX,
            description="Repeatable: `pending`, `delivered`, `exhausted` and so on; or `undelivered`",
        ),
    ] = None,
    status_code: Annotated[
        int | None, Query(ge=100, le=599, description="The last attempt was answered so")
    ] = None,
    type_: Annotated[
        list[_Word] | None,
        Query(
            alias="type",
            max_length=_REPEATED_MAX,
            description="Of events of this type, short or full, repeatable",
        ),
    ] = None,
    run_id: Annotated[_Word | None, Query(description="Of events of this run")] = None,
    trace_id: Annotated[
        _Word | None, Query(description="In this trace, or in a batch whose POST was in this trace")
    ] = None,
    batch: Annotated[
        _Word | None,
        Query(description="In the batch with this id, which is its `webhook-id`; goes without `trace_id`"),
    ] = None,
    since: Annotated[
        _Word | None, Query(description="Of events appended at or after this time, RFC 3339")
    ] = None,
    until: Annotated[_Word | None, Query(description="Of events appended before this time, RFC 3339")] = None,
    limit: Annotated[int | None, Query(ge=1, le=500)] = None,
    cursor: _Word | None = None,
) -> Mapping[str, object]:
    """The parameters by their names at the gateway; a list is repeated. Asynchronous, so that it wants no thread."""
    return {
        "state": state,
        "status_code": status_code,
        "type": type_,
        "run_id": run_id,
        "trace_id": trace_id,
        "batch": batch,
        "since": since,
        "until": until,
        "limit": limit,
        "cursor": cursor,
    }
