"""``/v1/events/{position}/trace``: the way of one event, step by step."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.event_places import deliveries_at, entry_at
from gateway.api.parameters import LIMIT_MAX, Limit
from gateway.api.services import services
from gateway.views.traces import trace_json

router = APIRouter(prefix="/v1/events", tags=["events"])


@router.get("/{position}/trace", summary="The timed path of an event")
async def get_trace(
    request: Request,
    caller: Caller,
    position: str,
    *,
    limit: Limit = LIMIT_MAX,
    cursor: str | None = None,
) -> JSONResponse:
    """When it was emitted, spooled, published, appended, matched, and each attempt, with trace and span ids.

    From the log alone. What is not known is said to be so, and why. ``limit`` is of deliveries.
    """
    service = services(request)
    entry = await entry_at(service, caller, position)
    went = await deliveries_at(service, caller, entry, limit=limit, cursor=cursor)
    told = trace_json(entry, went.attempts, went.pending, went.subscriptions, went.deleted)
    return JSONResponse({**told, "next": went.following})
