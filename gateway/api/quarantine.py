"""``/v1/quarantine``: what could not be taken into the log, and why."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.services import services
from gateway.domain.ids import decode_cursor, encode_cursor
from gateway.errors import InvalidCursor, NotFound
from gateway.views.quarantine import quarantine_json

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

LIMIT = 50
LIMIT_MAX = 500
_LIST = "quarantine"


@router.get("", summary="List what is in quarantine, the newest first")
async def list_quarantine(
    request: Request,
    caller: Caller,
    *,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of records, without what came in."""
    found = await services(request).quarantine.page(
        organization=caller.organization, before=_before(cursor), limit=limit + 1
    )
    page, more = found[:limit], len(found) > limit
    following = encode_cursor(_LIST, page[-1].received_at_us, page[-1].id) if more else None
    return JSONResponse({"items": [quarantine_json(record) for record in page], "next": following})


@router.get("/{quarantine_id}", summary="One record, with what came in")
async def read(request: Request, caller: Caller, quarantine_id: str) -> JSONResponse:
    """The whole record."""
    record = await services(request).quarantine.get(quarantine_id)
    if record is None or not caller.sees(record.organization):
        raise NotFound("There is nothing in quarantine with this id.")
    return JSONResponse(quarantine_json(record))


def _before(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    match decode_cursor(_LIST, cursor):
        case (int(at_us), str(quarantine_id)):
            return at_us, quarantine_id
        case _:
            raise InvalidCursor("This cursor was not given out for this list.")
