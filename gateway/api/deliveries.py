"""``/v1/deliveries``: one delivery with every attempt."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.archived import check_present
from gateway.api.auth import Caller
from gateway.api.services import Services, services
from gateway.domain.api_tokens import Principal
from gateway.domain.ids import HASH_BYTES, parse_delivery_id
from gateway.domain.pending import PendingDelivery
from gateway.errors import NotFound
from gateway.ports import LONG_AGO, AttemptRecord, Entry
from gateway.views.deliveries import delivery_json

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])


@dataclass(frozen=True, slots=True)
class Found:
    """A delivery with what it is of."""

    entry: Entry
    number: int
    attempts: Sequence[AttemptRecord]
    subscription_id: str
    pending: PendingDelivery | None
    deleted: bool
    """Whether its subscription is."""


@router.get("/{delivery_id}", summary="One delivery with its attempts")
async def read(request: Request, caller: Caller, delivery_id: str) -> JSONResponse:
    """What was tried or decided, when, and what the sink answered."""
    service = services(request)
    found = await own_delivery(service, caller, delivery_id)
    return JSONResponse(
        delivery_json(
            found.entry,
            found.number,
            found.attempts,
            found.subscription_id,
            found.pending,
            deleted=found.deleted,
        )
    )


async def own_delivery(service: Services, caller: Principal, delivery_id: str) -> Found:
    """A delivery that the caller may see. Raises ``NotFound`` for any other."""
    unknown = NotFound("There is no delivery with this id.")
    reference = parse_delivery_id(delivery_id)
    if reference is None:
        raise unknown
    known = (await service.subscriptions.ids([reference.number])).get(reference.number)
    # At once: for another's nothing is looked up that would not be for what never was.
    if known is None or not caller.sees(known.organization):
        raise unknown
    entry = await service.log.get(reference.position)
    if entry is None:
        await check_present(service, reference.position, reference.position)
    if entry is None or entry.row_hash[:HASH_BYTES] != reference.hash6:
        raise unknown
    number, position = reference.number, reference.position
    standings = await service.deliveries.standings(number, position, position, asked=LONG_AGO)
    attempts = await service.deliveries.attempts(number, position)
    if position not in standings:
        raise unknown
    return Found(entry, number, attempts, known.id, standings[position].pending, known.deleted)
