"""``/v1/secrets``: moving what is stored sealed to the first key, and which keys that leaves in use."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Administrator
from gateway.api.paging import keys_in
from gateway.api.services import services
from gateway.domain.ids import encode_cursor
from gateway.views.vault_keys import keys_json

router = APIRouter(prefix="/v1/secrets", tags=["secrets"])

BATCH_ROWS = 500
"""So many rows in one transaction: nothing else is written meanwhile."""

_LIST = "vault"


@router.post("/rotate-key", summary="Seal the next stored secrets again, under the first key")
async def rotate_key(
    request: Request, _administrator: Administrator, *, cursor: str | None = None
) -> JSONResponse:
    """One bounded batch; go on with `cursor` until `next` is null. Any batch may be repeated."""
    found = await services(request).vault_keys.reseal(keys_in(_LIST, cursor, str, str, int), BATCH_ROWS)
    return JSONResponse(
        {
            "checked": found.checked,
            "resealed": found.resealed,
            "unreadable": [
                {"kind": kind, "owner": owner, "revision": revision}
                for kind, owner, revision in found.unreadable
            ],
            "next": None if found.after is None else encode_cursor(_LIST, *found.after),
        }
    )


@router.get("/keys", summary="Which keys are still needed")
async def list_keys(request: Request, _administrator: Administrator) -> JSONResponse:
    """The keys by their ids, the sealing one first; never the keys themselves."""
    service = services(request)
    return JSONResponse({"items": keys_json(await service.vault_keys.uses(), service.now()), "next": None})
