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
    attempts = await service.deliveries.attempts(reference.number, reference.position)
    started = attempts or any(
        item.number == reference.number for item in await service.deliveries.pending_at(reference.position)
    )
    if not started or not (caller.admin or organization == caller.organization):
        raise unknown
    return JSONResponse(delivery_json(entry, reference.number, attempts, subscription_id))
