"""``/v1/archives``: closed ranges of the log leave it for files, and come back (S8). For administrators alone."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from gateway.api.auth import Administrator
from gateway.api.body import read_json
from gateway.api.paging import number_in, page_of
from gateway.api.parameters import LIMIT, LIMIT_MAX
from gateway.api.services import Services, services
from gateway.domain.archive_input import AskedArchive, parse_archive
from gateway.domain.ids import NUMBER_MAX
from gateway.errors import ArchiveUnusable, FieldError, InvalidRequest, NotFound
from gateway.ports import ArchiveRecord
from gateway.views.archives import archive_json, plan_json, run_json

router = APIRouter(prefix="/v1/archives", tags=["archives"])

_LIST: Final = "archives"
_SECOND_US: Final = 1_000_000
Position = Annotated[int, Path(ge=1, le=NUMBER_MAX, description="Any position that the archive holds")]


@router.post("", status_code=202, summary="Archive a part of the log")
async def request_archiving(request: Request, _caller: Administrator) -> JSONResponse:
    """Export what lies before a position or a time to files, and drop it from the log.

    What a subscription has still to be sent is not archived, nor what comes behind it: `held_by` of a dry run says who
    that is. Answered once it is commanded: it is then done also if the gateway ends.
    """
    service = services(request)
    asked, problems = parse_archive(await read_json(request))
    if asked is None:
        fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
        raise InvalidRequest("This is not an archiving.", fields=fields)
    until = await _until(service, asked)
    if asked.dry_run:
        return JSONResponse(plan_json(await service.archives.plan(until)))
    record = await service.archives.request(until)
    service.archive()
    service.appended()
    headers = {"Location": f"{router.prefix}/runs/{record.id}"}
    return JSONResponse(run_json(record), status_code=202, headers=headers)


@router.get("", summary="List archives, in log order")
async def list_archives(
    request: Request,
    _caller: Administrator,
    *,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of archives."""
    found = await services(request).archives.page(after=number_in(_LIST, cursor) or 0, limit=limit + 1)
    return page_of(_LIST, found, limit, keys=lambda record: (record.first,), shown=archive_json)


@router.get("/runs/{run_id}", summary="How far an archiving is")
async def read_run(
    request: Request, _caller: Administrator, run_id: Annotated[int, Path(ge=1, le=NUMBER_MAX)]
) -> JSONResponse:
    """One archiving; one that failed says why, and asking for the same again goes on."""
    record = await services(request).archives.run(run_id)
    if record is None:
        raise NotFound("There is no archiving with this id.")
    return JSONResponse(run_json(record))


@router.get("/{position}", summary="The archive that holds a position")
async def read_archive(request: Request, _caller: Administrator, position: Position) -> JSONResponse:
    """One archive."""
    return JSONResponse(archive_json(await _holding(services(request), position)))


@router.get(
    "/{position}/file",
    summary="Fetch an archive's file",
    response_class=Response,
    responses={
        200: {
            "description": "NDJSON, compressed",
            "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def read_file(request: Request, _caller: Administrator, position: Position) -> Response:
    """The file as it lies on the gateway's machine: NDJSON, compressed by gzip."""
    service = services(request)
    record = await _holding(service, position)
    path = service.archives.path(record)
    if not path.is_file():
        raise ArchiveUnusable.missing(record.file)
    return FileResponse(path, media_type="application/gzip", filename=record.file)


@router.post("/{position}/restore", summary="Put an archive back into the log")
async def restore(request: Request, _caller: Administrator, position: Position) -> JSONResponse:
    """Have its events in the log again, as they were: they can be replayed, fetched and listed, and archived again."""
    service = services(request)
    record = await service.archives.restore(position)
    service.appended()
    return JSONResponse(archive_json(record))


async def _holding(service: Services, position: int) -> ArchiveRecord:
    record = await service.archives.holding(position)
    if record is None:
        raise NotFound("This position is in no archive.")
    return record


async def _until(service: Services, asked: AskedArchive) -> int:
    if asked.before_position is not None:
        return asked.before_position - 1
    if asked.before is None:
        raise AssertionError("one of them is set")
    return await service.log.position_at(int(asked.before.timestamp() * _SECOND_US))
