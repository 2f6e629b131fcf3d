"""``/v1/events``: CloudEvents in, and the log out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.archived import check_present
from gateway.api.auth import Caller
from gateway.api.body import read_body
from gateway.api.event_filters import Asked
from gateway.api.event_places import NO_EVENT, deliveries_at, entry_at, place_of
from gateway.api.paging import number_in
from gateway.api.parameters import (
    LIMIT,
    LIMIT_MAX,
    BatchId,
    Limit,
    Since,
    TraceId,
    Until,
    micros,
    trace_of,
)
from gateway.api.services import Services, services
from gateway.domain.api_tokens import Principal
from gateway.domain.ids import encode_cursor
from gateway.errors import (
    ContractBroken,
    FieldError,
    ForeignOrganization,
    InvalidRequest,
    MalformedEvent,
    NotFound,
    RequestError,
    ReservedName,
    TooLarge,
    UnsupportedFormat,
)
from gateway.ingest.door import Reason, Refused
from gateway.ports import Appended, NewEntry
from gateway.views.deliveries import deliveries_of
from gateway.views.events import item_json, page_json
from gateway.views.explain import Explainer
from schemas import BatchTooLongError, Envelope, EnvelopeError, Problem, UnsupportedFormatError, parse_http

router = APIRouter(prefix="/v1/events", tags=["events"])

_JSON = "application/json"
_ROWS_LOOKED_AT = 50_000
"""Of the log, for one page of the events of an id: some tens of milliseconds."""
_BATCH_TYPE = "application/cloudevents-batch"
_REFUSALS: dict[Reason, type[RequestError]] = {
    Reason.MALFORMED: MalformedEvent,
    Reason.TOO_LARGE: TooLarge,
    Reason.RESERVED: ReservedName,
    Reason.FOREIGN: ForeignOrganization,
    Reason.ORGANIZATION: InvalidRequest,
    Reason.CONTRACT: ContractBroken,
    Reason.UNKNOWN_TYPE: InvalidRequest,
}


@router.post("", status_code=202, summary="Publish one event or a batch")
async def publish(request: Request, caller: Caller) -> JSONResponse:
    """Take CloudEvents in binary, structured or batched mode; answers after the commit, all or nothing."""
    service = services(request)
    envelopes = await _read(request, service)
    entries = _admit(envelopes, service, caller)
    if service.pace is not None:
        service.pace.admit(entries)
    started_us = 0 if service.spans is None else service.spans.now()
    appended = await _append(entries, service)
    if service.spans is not None:
        service.spans.from_http(entries, appended, started_us, request.headers.getlist("traceparent"))
    duplicates = sum(item.duplicate for item in appended)
    answer = {
        "accepted": len(appended) - duplicates,
        "duplicates": duplicates,
        "positions": [item.position for item in appended],
    }
    return JSONResponse(answer, status_code=202)


@router.get("", summary="List events, the newest first")
async def list_events(
    request: Request,
    caller: Caller,
    asked: Asked,
    *,
    trace_id: TraceId = None,
    batch: BatchId = None,
    id_: Annotated[
        str | None,
        Query(alias="id", description="Of this event id, with no other filter; pages may be empty"),
    ] = None,
    since: Since = None,
    until: Until = None,
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "desc",
    limit: Limit = LIMIT,
    cursor: str | None = None,
) -> Response:
    """A page of the log. The gateway's own facts are shown only where ``type`` names them.

    Where a part of it was archived, `archived_until` says up to where events may be missing in this page.
    """
    if id_ is not None:
        return await _named(request, caller, id_, cursor)
    query = replace(
        asked,
        trace_id=trace_of(trace_id, batch),
        since_us=micros("since", since),
        until_us=micros("until", until),
        ascending=order == "asc",
        after=number_in(f"events-{order}", cursor),
        limit=limit,
    )
    page = await services(request).log.page(query)
    following = None if page.further is None else encode_cursor(f"events-{order}", page.further)
    return Response(page_json(page, following), media_type=_JSON)


@router.get("/{position}", summary="One event, as received")
async def get_event(request: Request, caller: Caller, position: str) -> Response:
    """One item of the log."""
    return Response(item_json(await entry_at(services(request), caller, position)), media_type=_JSON)


@router.get("/{position}/deliveries", summary="Where an event went")
async def get_deliveries(
    request: Request,
    caller: Caller,
    position: str,
    *,
    limit: Limit = LIMIT_MAX,
    cursor: str | None = None,
) -> JSONResponse:
    """Each subscription that the event was dispatched to, with state and attempts, in order of creation."""
    service = services(request)
    entry = await entry_at(service, caller, position)
    went = await deliveries_at(service, caller, entry, limit=limit, cursor=cursor)
    items = deliveries_of(entry, went.attempts, went.pending, went.subscriptions, went.deleted)
    return JSONResponse({"items": items, "next": went.following})


@router.get("/{position}/explain", summary="Why an event was, or was not, delivered")
async def explain(
    request: Request,
    caller: Caller,
    position: str,
    *,
    subscription: Annotated[str, Query(description="The subscription's id; a deleted one's as well")],
) -> JSONResponse:
    """Why this event was, or was not, delivered to this subscription: clause by clause, and what became of it."""
    service = services(request)
    place = place_of(position)
    unknown = NotFound("There is no subscription with this id.")
    stream = await service.subscriptions.history(subscription)
    if stream is None or not caller.sees(stream.organization):
        raise unknown
    explainer = Explainer(
        service.log,
        service.subscriptions,
        service.deliveries,
        now=service.now,
        handshake_required=service.handshake_required,
    )
    entry = await service.log.get(place)
    if entry is None:
        await check_present(service, place, place)
    if entry is None and caller.admin:
        return JSONResponse(await explainer.absent(place, stream))
    if entry is None or not caller.sees(entry.organization):
        # To an organization's token another's event is not there, and neither is where the log ends (S11a).
        raise NotFound(NO_EVENT)
    answer = await explainer.explain(entry, stream.id)
    if answer is None:
        raise unknown
    return JSONResponse(answer)


async def _named(request: Request, caller: Principal, event_id: str, cursor: str | None) -> Response:
    """The events of an id, found by looking: a page is of so many rows of the log, whatever they hold."""
    if set(request.query_params) - {"id", "limit", "cursor"}:
        raise InvalidRequest("`id` goes without other filters: it says which event.")
    before = number_in("events-id", cursor)
    page = await services(request).log.named(
        event_id, organization=caller.organization, before=before, rows=_ROWS_LOOKED_AT
    )
    following = None if page.further is None else encode_cursor("events-id", page.further)
    return Response(page_json(page, following), media_type=_JSON)


async def _append(entries: Sequence[NewEntry], service: Services) -> Sequence[Appended]:
    try:
        return await service.batcher.append(entries) if entries else []
    except ValueError as error:
        # Whatever it is, it will be no different next time: not the server's trouble, and not to be repeated.
        raise InvalidRequest(f"The log cannot hold this. {error}") from error


async def _read(request: Request, service: Services) -> list[Envelope]:
    limits = service.limits
    batch = request.headers.get("content-type", "").strip().lower().startswith(_BATCH_TYPE)
    body = await read_body(request, limits.batch_bytes_max if batch else limits.event_bytes_max)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
    try:
        return parse_http(headers, body, events_max=limits.batch_events_max)
    except UnsupportedFormatError as error:
        raise UnsupportedFormat(str(error)) from None
    except BatchTooLongError as error:
        raise TooLarge(str(error)) from None
    except EnvelopeError as error:
        raise MalformedEvent("This is not a valid CloudEvent.", fields=_fields(error.problems)) from None


def _admit(envelopes: Sequence[Envelope], service: Services, caller: Principal) -> list[NewEntry]:
    """Judge every event, so that one answer names all that is wrong; a batch is all or nothing."""
    entries: list[NewEntry] = []
    refusals: list[tuple[int, Refused]] = []
    for index, envelope in enumerate(envelopes):
        try:
            entries.append(service.door.admit(envelope, organization=caller.organization))
        except Refused as error:
            refusals.append((index, error))
    if refusals:
        first = refusals[0][1]
        fields: list[FieldError] = []
        for index, refused in refusals:
            prefix = f"/{index}" if len(envelopes) > 1 else ""
            fields += _fields([problem.below(prefix) for problem in refused.problems])
        raise _REFUSALS[first.reason](first.detail, fields=fields)
    return entries


def _fields(problems: Sequence[Problem]) -> list[FieldError]:
    return [FieldError(problem.pointer, problem.detail) for problem in problems]
