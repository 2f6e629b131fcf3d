"""``/v1/deliveries``: one delivery with every attempt."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.services import services
from gateway.domain.ids import HASH_BYTES, parse_delivery_id
from gateway.errors import NotFound
from gateway.views.deliveries import delivery_json

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])


@router.get("/{delivery_id}", summary="One delivery with its attempts")
async def read(request: Request, caller: Caller, delivery_id: str) -> JSONResponse:
    """What was tried or decided, when, and what the sink answered."""
    service = services(request)
    unknown = NotFound("There is no delivery with this id.")
    reference = parse_delivery_id(delivery_id)
    if reference is None:
        raise unknown
    known = (await service.subscriptions.ids([reference.number])).get(reference.number)
    entry = await service.log.get(reference.position)
    if known is None or entry is None or entry.row_hash[:HASH_BYTES] != reference.hash6:
        raise unknown
    subscription_id, organization = known
    number, position = reference.number, reference.position
    standings = await service.deliveries.standings(number, position, position, attempts_until=0)
    attempts = await service.deliveries.attempts(number, position)
    if position not in standings or not (caller.admin or organization == caller.organization):
        raise unknown
    return JSONResponse(delivery_json(entry, number, attempts, subscription_id, standings[position].pending))
