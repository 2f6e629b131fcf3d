"""The CloudEvents webhook handshake: asking for one, and ``/handshake/{token}``, where a sink agrees (S11e).

Nothing here sends anything: what is asked for is a fact, and the owner of the stream asks the sink (S6b).
"""

import hashlib
import re

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.services import services
from gateway.api.stream_commands import check_enabled
from gateway.api.subscriptions import own_subscription
from gateway.domain.handshake import Consent, HandshakeState, granted_rate
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound
from gateway.views.subscriptions import subscription_json

router = APIRouter(tags=["handshake"])

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@router.post(
    "/v1/subscriptions/{subscription_id}/validate", status_code=202, summary="Ask the sink whether it agrees"
)
async def validate(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Begin the handshake, whatever came of an earlier one; `handshake` in the subscription says how it stands.

    Where the subscription needs the sink's consent, nothing is sent until it has agreed again.
    """
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    if record.pull_only:
        raise Conflict("This subscription is only pulled: it has no sink that could agree.", hint="")
    check_enabled(record)
    wanted = Consent(HandshakeState.REQUESTED, service.now())
    record = await service.subscriptions.set_consent(record.number, wanted)
    await service.in_force(record.number)
    return JSONResponse(subscription_json(record), status_code=202)


@router.get("/handshake/{token}", summary="Agree to be sent events")
async def agree(request: Request, token: str) -> JSONResponse:
    """For the sink, or a person who found the link in its log. The link is its own credential, and works once."""
    return await _agree(request, token)


@router.post("/handshake/{token}", summary="Agree to be sent events")
async def agree_by_post(request: Request, token: str) -> JSONResponse:
    """The same; either may carry `WebHook-Allowed-Rate`. The body is not read."""
    return await _agree(request, token)


async def _agree(request: Request, token: str) -> JSONResponse:
    service = services(request)
    try:
        per_minute = granted_rate(request.headers.getlist("webhook-allowed-rate"))
    except ValueError as error:
        fields = [FieldError("WebHook-Allowed-Rate", str(error))]
        raise InvalidRequest("The rate cannot be read.", fields=fields) from None
    if not _TOKEN.fullmatch(token):
        raise NotFound("No handshake waits for this callback.", hint="Take the link whole, as it was sent.")
    callback = hashlib.sha256(token.encode("ascii")).hexdigest()
    record = await service.subscriptions.called_back(callback, per_minute)
    service.changed(record.number)
    return JSONResponse({"granted": True, "allowed_per_minute": per_minute}, headers=_HEADERS)
