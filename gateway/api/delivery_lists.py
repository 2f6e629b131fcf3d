"""``/v1/deliveries`` and ``/v1/subscriptions/{id}/deliveries``: what became of events, by the same filters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.paging import keys_in, number_in
from gateway.api.parameters import LIMIT, BatchId, Limit, Since, TraceId, Until, micros, trace_of
from gateway.api.services import Services, services
from gateway.api.subscriptions import own_subscription
from gateway.domain.api_tokens import Principal
from gateway.domain.filters import full_types
from gateway.domain.history import StateWord, states_of
from gateway.domain.ids import encode_cursor
from gateway.errors import NotFound
from gateway.ports import DeliveryPlace, DeliveryQuery, SubscriptionRecord
from gateway.views.deliveries import delivery_json

router = APIRouter(tags=["deliveries"])

TYPES_MAX: Final = 50
_OF_ALL = "deliveries"
_OF_ONE = "subscription-deliveries"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries a list shows, as its parameters say it."""

    states: frozenset[StateWord]
    status_code: int | None
    types: Sequence[str]
    agent_id: str | None
    run_id: str | None
    trace_id: str | None
    since: datetime | None
    until: datetime | None
    limit: int
    cursor: str | None


def asked_of_agent(
    *,
    state: Annotated[
        list[StateWord] | None,
        Query(description="Repeatable; `undelivered` is pending, exhausted, expired and refused"),
    ] = None,
    status_code: Annotated[
        int | None, Query(ge=100, le=599, description="The last attempt was answered so")
    ] = None,
    type_: Annotated[
        list[str] | None,
        Query(
            alias="type",
            max_length=TYPES_MAX,
            description="Of events of this type, short or full, repeatable",
        ),
    ] = None,
    run_id: Annotated[str | None, Query(description="Of events of this run")] = None,
    trace_id: TraceId = None,
    batch: BatchId = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = LIMIT,
    cursor: str | None = None,
) -> DeliveryFilter:
    """The parameters of a list that is of one agent's events anyhow."""
    return DeliveryFilter(
        states=frozenset(state or ()),
        status_code=status_code,
        types=tuple(name for given in type_ or () for name in full_types(given)),
        agent_id=None,
        run_id=run_id,
        trace_id=trace_of(trace_id, batch),
        since=since,
        until=until,
        limit=limit,
        cursor=cursor,
    )


def asked_of_any(
    asked: Annotated[DeliveryFilter, Depends(asked_of_agent)],
    agent_id: Annotated[str | None, Query(description="Of events of this agent")] = None,
) -> DeliveryFilter:
    """The parameters of every other list."""
    return replace(asked, agent_id=agent_id)


Asked = Annotated[DeliveryFilter, Depends(asked_of_any)]


@router.get("/v1/deliveries", summary="What became of events, for all subscriptions")
async def list_all(
    request: Request,
    caller: Caller,
    asked: Asked,
    *,
    subscription: Annotated[
        str | None, Query(description="Only those of this subscription; a deleted one's as well")
    ] = None,
) -> JSONResponse:
    """A page of deliveries with their attempts, those of the latest events first; also of deleted subscriptions.

    To an organization's token they are those of the organization's subscriptions. Where few match, a page may have
    fewer than `limit`, or none, and yet a `next`: what one request looks at has a bound.
    """
    service = services(request)
    number = None if subscription is None else await _number_of(service, caller, subscription)
    place = keys_in(_OF_ALL, asked.cursor, int, int)
    before = None if place is None else DeliveryPlace(*place)
    query = await _query(service, asked, number=number, organization=caller.organization, before=before)
    items, following = await _page(service, query)
    return _answer(items, None if following is None else encode_cursor(_OF_ALL, *following))


@router.get(
    "/v1/subscriptions/{subscription_id}/deliveries", summary="What became of a subscription's events"
)
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
    position = number_in(_OF_ONE, asked.cursor)
    before = None if position is None else DeliveryPlace(position, 0)
    query = await _query(service, asked, number=record.number, organization=None, before=before)
    items, following = await _page(service, query)
    return _answer(items, None if following is None else encode_cursor(_OF_ONE, following.position))


async def _number_of(service: Services, caller: Principal, subscription_id: str) -> int:
    """Raises ``NotFound`` for a subscription that never was, or that is another's."""
    stream = await service.subscriptions.history(subscription_id)
    if stream is None or not caller.sees(stream.organization):
        raise NotFound("There is no subscription with this id.")
    return stream.number


async def _query(
    service: Services,
    asked: DeliveryFilter,
    *,
    number: int | None,
    organization: str | None,
    before: DeliveryPlace | None,
) -> DeliveryQuery:
    return DeliveryQuery(
        number=number,
        organization=organization,
        states=states_of(asked.states),
        status=asked.status_code,
        types=asked.types,
        agent_id=asked.agent_id,
        run_id=asked.run_id,
        trace_id=asked.trace_id,
        after=await _position_at(service, micros("since", asked.since)) or 0,
        until=await _position_at(service, micros("until", asked.until)),
        before=before,
        limit=asked.limit,
    )


async def _page(
    service: Services, query: DeliveryQuery
) -> tuple[list[dict[str, object]], DeliveryPlace | None]:
    """The deliveries as they are shown, without those whose events have left the log; where the next page begins."""
    page = await service.deliveries.page(query)
    entries = await service.log.get_many(sorted({item.position for item in page.items}))
    names = await service.subscriptions.ids(sorted({item.number for item in page.items}))
    items = [
        delivery_json(
            entries[item.position],
            item.number,
            item.attempts,
            names[item.number].id,
            item.pending,
            deleted=names[item.number].deleted,
        )
        for item in page.items
        if item.position in entries and item.number in names
    ]
    return items, page.before


def _answer(items: list[dict[str, object]], following: str | None) -> JSONResponse:
    return JSONResponse({"items": items, "next": following})


async def _position_at(service: Services, at_us: int | None) -> int | None:
    """The last position that was appended before this time."""
    return None if at_us is None else await service.log.position_at(at_us)
