"""``/v1/quarantine``: what could not be taken into the log, and why."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.paging import keys_in, page_of
from gateway.api.services import Services, services
from gateway.domain.api_tokens import Principal
from gateway.errors import NotFound
from gateway.ingest.redriving import Redriver
from gateway.ports import QuarantineRecord, QuarantineState
from gateway.views.quarantine import quarantine_json

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"])

LIMIT = 50
LIMIT_MAX = 500
_LIST = "quarantine"


class Shown(StrEnum):
    """Which records a list shows."""

    OPEN = "open"
    REDRIVEN = "redriven"
    ALL = "all"


@router.get("", summary="List what is in quarantine, the newest first")
async def list_quarantine(
    request: Request,
    caller: Caller,
    *,
    state: Annotated[
        Shown, Query(description="What is still to be looked at, or what became of the rest")
    ] = Shown.OPEN,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of records, without what came in."""
    found = await services(request).quarantine.page(
        organization=caller.organization,
        before=keys_in(_LIST, cursor, int, str),
        limit=limit + 1,
        state=None if state is Shown.ALL else QuarantineState(state.value),
    )
    return page_of(
        _LIST, found, limit, keys=lambda record: (record.received_at_us, record.id), shown=quarantine_json
    )


@router.get("/{quarantine_id}", summary="One record, with what came in")
async def read(request: Request, caller: Caller, quarantine_id: str) -> JSONResponse:
    """The whole record."""
    return JSONResponse(quarantine_json(await _own(services(request), caller, quarantine_id)))


@router.post("/{quarantine_id}/redrive", summary="Try to take it into the log once more")
async def redrive(request: Request, caller: Caller, quarantine_id: str) -> JSONResponse:
    """Judge it again, as what comes in now is judged, and append it at the end of the log, marked `redriven_from`.

    What still cannot be taken stays, with the new reasons, which are in the answer (422). What was taken before is
    answered with where it stands, and not appended again; so is an event that has come in another way meanwhile.
    """
    service = services(request)
    record = await _own(service, caller, quarantine_id)
    redriver = Redriver(service.door, service.batcher, service.quarantine)
    appended = await redriver.redrive(record)
    service.appended()
    taken = replace(record, state=QuarantineState.REDRIVEN.value, position=appended.position)
    return JSONResponse({**quarantine_json(taken), "duplicate": appended.duplicate})


@router.delete("/{quarantine_id}", status_code=204, summary="Discard it")
async def discard(request: Request, caller: Caller, quarantine_id: str) -> Response:
    """Forget it, with what came in. What was taken into the log stays there."""
    service = services(request)
    record = await _own(service, caller, quarantine_id)
    await service.quarantine.discard(record.id)
    return Response(status_code=204)


async def _own(service: Services, caller: Principal, quarantine_id: str) -> QuarantineRecord:
    """One that the caller may see; any other one is not there (404)."""
    record = await service.quarantine.get(quarantine_id)
    if record is None or not caller.sees(record.organization):
        raise NotFound("There is nothing in quarantine with this id.")
    return record
