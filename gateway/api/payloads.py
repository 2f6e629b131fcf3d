"""``/payloads/{delivery_id}``: the data of one delivery, for whoever was sent the link to it (S11d, CONFORMANCE 46)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway.api.archived import check_present
from gateway.api.services import services
from gateway.domain.ids import HASH_BYTES, parse_delivery_id
from gateway.domain.payload_links import AGE_S_MAX
from gateway.errors import Gone, NotFound
from schemas import parse_structured

router = APIRouter(tags=["payloads"])

_AGE_US = AGE_S_MAX * 1_000_000
_DAYS = AGE_S_MAX // 86_400


@router.get("/payloads/{delivery_id}", summary="The data that a thin event refers to")
async def payload(
    request: Request, delivery_id: str, sig: Annotated[str, Query(max_length=128)] = ""
) -> Response:
    """Exactly the bytes of the data. The link is its own credential; it dies with the subscription, or by its age."""
    service = services(request)
    reference = parse_delivery_id(delivery_id)
    if reference is None or not service.payload_links.accepts(delivery_id, sig):
        raise NotFound("There is no payload behind this link.", hint="Take the link whole, as it was sent.")
    entry = await service.log.get(reference.position)
    if entry is None:
        await check_present(service, reference.position, reference.position)
    if entry is None or entry.row_hash[:HASH_BYTES] != reference.hash6:
        raise NotFound("There is no payload behind this link.", hint="")
    if await service.subscriptions.by_number(reference.number) is None:
        raise Gone("The subscription of this delivery was deleted.", hint="")
    attempts = await service.deliveries.attempts(reference.number, reference.position)
    latest_us = attempts[-1].started_at_us if attempts else entry.appended_at_us
    if service.now() - latest_us > _AGE_US:
        raise Gone(
            f"This link is older than {_DAYS} days.", hint="A replay of the event makes it live again."
        )
    envelope = None if entry.envelope is None else parse_structured(entry.envelope)
    if envelope is None or envelope.body is None:
        raise Gone("The payload was erased.", hint="")
    return Response(
        envelope.body,
        media_type=envelope.datacontenttype or "application/octet-stream",
        headers={
            "Cache-Control": "private, no-store",
            # The data is a stranger's, and this is the gateway's own origin: nothing of it may run here.
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )
