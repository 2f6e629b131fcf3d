"""``/v1/subscriptions/{id}/deliveries``: what became of a subscription's events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.parameters import LIMIT, Limit, Since, Until, micros
from gateway.api.services import Services, services
from gateway.api.subscriptions import own_subscription
from gateway.domain.delivery import State
from gateway.domain.ids import decode_cursor, encode_cursor
from gateway.errors import InvalidCursor
from gateway.ports import DeliveryQuery, SubscriptionRecord
from gateway.views.deliveries import delivery_json

router = APIRouter(prefix="/v1/subscriptions", tags=["deliveries"])

_CURSOR = "subscription-deliveries"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list shows, as its parameters say it."""

    state: State | None
    status_code: int | None
    since: datetime | None
    until: datetime | None
    limit: int
    cursor: str | None


def _asked(
    *,
    state: State | None = None,
    status_code: Annotated[
        int | None, Query(ge=100, le=599, description="The last attempt was answered so")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = LIMIT,
    cursor: str | None = None,
) -> DeliveryFilter:
    return DeliveryFilter(state, status_code, since, until, limit, cursor)


Asked = Annotated[DeliveryFilter, Depends(_asked)]


@router.get("/{subscription_id}/deliveries", summary="What became of a subscription's events")
async def list_deliveries(
    request: Request, caller: Caller, subscription_id: str, asked: Asked
) -> JSONResponse:
    """A page of deliveries with their attempts, those of the latest events first.

    Where few match, a page may have fewer than `limit`, or none, and yet a `next`: what one request looks at has a
    bound.
    """
    service = services(request)
    return await deliveries_page(service, await own_subscription(service, caller, subscription_id), asked)


async def deliveries_page(
    service: Services, record: SubscriptionRecord, asked: DeliveryFilter
) -> JSONResponse:
    """A page of the deliveries of a subscription."""
    query = DeliveryQuery(
        number=record.number,
        state=asked.state,
        status=asked.status_code,
        after=await _position_at(service, micros("since", asked.since)) or 0,
        until=await _position_at(service, micros("until", asked.until)),
        before=_before(asked.cursor),
        limit=asked.limit,
    )
    page = await service.deliveries.page(query)
    entries = await service.log.get_many([item.position for item in page.items])
    items = [
        delivery_json(entries[item.position], record.number, item.attempts, record.id, item.pending)
        for item in page.items
        if item.position in entries
    ]
    following = None if page.before is None else encode_cursor(_CURSOR, page.before)
    return JSONResponse({"items": items, "next": following})


async def _position_at(service: Services, at_us: int | None) -> int | None:
    """The last position that was appended before this time."""
    return None if at_us is None else await service.log.position_at(at_us)


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    match decode_cursor(_CURSOR, cursor):
        case (int(position),):
            return position
        case _:
            raise InvalidCursor("This cursor was not given out for this list.")
