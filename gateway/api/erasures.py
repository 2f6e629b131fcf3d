"""``/v1/erasures``: everything of an agent, or of an organization, is to go (S8b). For administrators alone."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Administrator
from gateway.api.body import read_json
from gateway.api.paging import number_in, page_of
from gateway.api.parameters import LIMIT, LIMIT_MAX
from gateway.api.services import services
from gateway.domain.erasure_input import parse_erasure
from gateway.errors import FieldError, InvalidRequest, NotFound
from gateway.views.erasures import erasure_json

router = APIRouter(prefix="/v1/erasures", tags=["erasures"])

_LIST = "erasures"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "agent_id": {"type": "string", "description": "Erase all events of this agent"},
                        "organization_id": {"type": "string", "description": "… or of this organization"},
                        "dry_run": {
                            "type": "boolean",
                            "default": False,
                            "description": "Count, erase nothing",
                        },
                    },
                    "oneOf": [{"required": ["agent_id"]}, {"required": ["organization_id"]}],
                    "additionalProperties": False,
                }
            }
        },
    },
    "responses": {
        "200": {"description": "The counts of a dry run: `{events, quarantined, archives}`"},
        "202": {"description": "Commanded: the erasure, whose progress its URL in `Location` shows"},
        "409": {"description": "Too many erasures are not finished yet"},
        "422": {"description": "The body names neither an agent nor an organization, or both"},
    },
}


@router.post("", status_code=202, summary="Erase an agent or an organization", openapi_extra=_BODY)
async def request_erasure(request: Request, _caller: Administrator) -> JSONResponse:
    """Erase every event that the log has of it by now; what comes later are new events.

    Answered once it is commanded: it is then done also if the gateway ends. With `dry_run` answer 200 and the counts.
    """
    service = services(request)
    asked, problems = parse_erasure(await read_json(request))
    if asked is None:
        fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
        raise InvalidRequest("This is not an erasure.", fields=fields)
    if asked.dry_run:
        count = await service.erasures.count(asked.target)
        return JSONResponse(
            {"events": count.events, "quarantined": count.quarantined, "archives": count.archives}
        )
    record = await service.erasures.request(asked.target)
    service.erase()
    service.appended()
    headers = {"Location": f"{router.prefix}/{record.id}"}
    return JSONResponse(erasure_json(record), status_code=202, headers=headers)


@router.get("", summary="List erasures, the latest first")
async def list_erasures(
    request: Request,
    _caller: Administrator,
    *,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of erasures. None of them says whose data it was."""
    found = await services(request).erasures.page(before=number_in(_LIST, cursor), limit=limit + 1)
    return page_of(
        _LIST, found, limit, keys=lambda item: (item[0],), shown=lambda item: erasure_json(item[1])
    )


@router.get("/{erasure_id}", summary="How far an erasure is")
async def read_erasure(request: Request, _caller: Administrator, erasure_id: str) -> JSONResponse:
    """One erasure, with the counts so far."""
    record = await services(request).erasures.get(erasure_id)
    if record is None:
        raise NotFound("There is no erasure with this id.")
    return JSONResponse(erasure_json(record))
