"""Streams for who fetches events: a subscription's, as batches or server-sent events, and the whole log's (S10b).

A GET changes nothing: where a client is, it says itself, by ``after`` or ``Last-Event-ID``. Both are positions in the
log, and move on over what is not for it.
"""

import logging
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Final

import anyio
from fastapi import APIRouter, Query, Request, Response

from gateway.api.archived import check_present
from gateway.api.auth import Caller
from gateway.api.event_filters import Asked
from gateway.api.parameters import trace_of
from gateway.api.services import Services, services
from gateway.api.sse import (
    MEDIA_TYPE,
    NO_MORE,
    EventStream,
    frame,
    keep_alive,
    opening,
    while_connected,
)
from gateway.api.subscriptions import own_subscription
from gateway.deliver.envelopes import Event
from gateway.deliver.listing import OfEvents
from gateway.deliver.pulling import OfSubscription, PageBounds, StreamPage, StreamReader
from gateway.deliver.tail import Tail
from gateway.domain.api_tokens import Principal
from gateway.domain.ids import NUMBER_MAX
from gateway.domain.subscription import EVERY_ORGANIZATION
from gateway.errors import FieldError, GatewayError, InvalidRequest, InvalidToken, NotFound, PositionAhead
from gateway.views.events import item_json
from schemas import to_batch, to_structured
from schemas.json_format import BATCH_CONTENT_TYPE, BATCH_MEDIA_TYPE

router = APIRouter(tags=["streams"])

LIMIT: Final = 100
LIMIT_MAX: Final = 1_000
WAIT_S_MAX: Final = 60.0
BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
ROWS_MAX: Final = 10_000
"""Rows that are looked at for one batch that does not wait, or between two signs of life of an event stream."""

KEEP_ALIVE_S: Final = 15.0
STREAM_S_MAX: Final = 3_600.0
"""A stream ends after an hour, and its client comes again with a token that counts then."""

_SSE_BOUNDS: Final = PageBounds(events_max=200, bytes_max=1024 * 1024, rows_max=ROWS_MAX)
_POSITION_CHARS_MAX: Final = 19
_WEIGHT: Final = re.compile(r"[01](\.[0-9]{0,3})?")
_LOGGER = logging.getLogger(__name__)

Render = Callable[[Event], bytes]
After = Annotated[
    int | None,
    Query(ge=0, le=NUMBER_MAX, description="Begin behind this position of the log"),
]


@router.get(
    "/v1/subscriptions/{subscription_id}/stream",
    summary="Fetch a subscription's events",
    response_class=Response,
    responses={
        200: {
            "description": "Events in log order; `Link` has the next page",
            "content": {
                BATCH_MEDIA_TYPE: {"schema": {"type": "array", "items": {"type": "object"}}},
                MEDIA_TYPE: {},
            },
        }
    },
)
async def pull(
    request: Request,
    caller: Caller,
    subscription_id: str,
    *,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="Events of one batch")] = LIMIT,
    wait: Annotated[
        float, Query(ge=0, le=WAIT_S_MAX, description="Seconds to wait for the first event of a batch")
    ] = 0,
) -> Response:
    """A batch of CloudEvents; or, where ``Accept`` asks for them, server-sent events without end.

    Without ``after`` it begins at the subscription's start. A pause does not stop it: that is about being sent to.
    """
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    events = _wants_events(request)
    begin = _last_event_id(request) if events else None
    begin = next(position for position in (begin, after, record.start_position) if position is not None)
    await _check_place(service, begin)
    reader = StreamReader(service.tail, OfSubscription(service.subscriptions, record), begin)
    render = partial(_structured, service)
    if events:
        return _event_stream(service, caller, record.id, reader=reader, render=render)
    bounds = PageBounds(limit, BATCH_BYTES_MAX, ROWS_MAX)
    page = await _first_events(request, caller, record.id, _Poll(reader, bounds, wait))
    query = f"after={page.next}&limit={limit}&wait={wait:g}"
    return Response(
        to_batch([render(event) for event in page.events]),
        media_type=BATCH_CONTENT_TYPE,
        headers={
            "Link": f'</v1/subscriptions/{record.id}/stream?{query}>; rel="next"',
            "Cache-Control": "no-store",
        },
    )


@router.get(
    "/v1/events/stream",
    summary="Follow the log",
    response_class=Response,
    responses={200: {"description": "Server-sent events", "content": {MEDIA_TYPE: {}}}},
)
async def watch(
    request: Request,
    caller: Caller,
    asked: Asked,
    *,
    trace_id: str | None = None,
    after: After = None,
) -> Response:
    """Every event as it is appended, as the items of the list; from ``Last-Event-ID`` or ``after`` on, else from now.

    The gateway's own facts are shown only where ``type`` names them.
    """
    service = services(request)
    query = replace(asked, trace_id=trace_of(trace_id, None))
    last = _last_event_id(request)
    begin = after if last is None else last
    if begin is None:
        begin = (await service.log.head()).position
    else:
        await _check_place(service, begin)
    reader = StreamReader(service.tail, OfEvents(query), begin)
    return _event_stream(
        service, caller, _events_of(caller), reader=reader, render=lambda event: item_json(event.entry)
    )


@dataclass(frozen=True, slots=True)
class _Poll:
    """A batch as it was asked for."""

    reader: StreamReader
    bounds: PageBounds
    wait_s: float


async def _first_events(request: Request, caller: Principal, subscription_id: str, poll: _Poll) -> StreamPage:
    """The next batch, waited for as long as the client will and may; an empty one where nothing came."""
    service = services(request)
    page = await poll.reader.page(poll.bounds)
    if not page.events and poll.wait_s and not poll.reader.gone:
        with service.slots.take(*_subjects(caller, subscription_id)):
            work = partial(_wait_for_events, service.tail, poll, page)
            with anyio.CancelScope() as allowed, service.credentials.watch(caller, allowed.cancel):
                page = await while_connected(request, work) or page
            if allowed.cancelled_caught:
                raise InvalidToken(NO_MORE)
    if poll.reader.gone and not page.events:
        raise NotFound("There is no subscription with this id any more.")
    return page


async def _wait_for_events(tail: Tail, poll: _Poll, page: StreamPage) -> StreamPage:
    deadline = anyio.current_time() + poll.wait_s
    follows = False
    with tail.following():
        while not (page.events or poll.reader.gone or tail.stopped):
            left_s = deadline - anyio.current_time()
            if left_s <= 0:
                break
            if page.at_end:
                follows = await tail.wait_beyond(page.next, left_s)
                if not follows:
                    break
            page = await poll.reader.page(poll.bounds, follows=follows)
    return page


def _event_stream(
    service: Services, caller: Principal, subject: str, *, reader: StreamReader, render: Render
) -> Response:
    slot = service.slots.take(*_subjects(caller, subject))
    watch = partial(service.credentials.watch, caller)
    return EventStream(_chunks(service.tail, reader, render), slot, watch)


async def _chunks(tail: Tail, reader: StreamReader, render: Render) -> AsyncGenerator[bytes]:
    """What an event stream sends: events, and now and then how far the log has been read for it."""
    spoke_at = begun_at = anyio.current_time()
    follows = False
    yield opening(reader.position)
    try:
        with tail.following():
            while not (reader.gone or tail.stopped or anyio.current_time() > begun_at + STREAM_S_MAX):
                page = await reader.page(_SSE_BOUNDS, follows=follows)
                follows = follows or page.at_end
                if page.events:
                    yield b"".join(frame(event.entry.position, render(event)) for event in page.events)
                    spoke_at = anyio.current_time()
                elif not page.at_end or anyio.current_time() >= spoke_at + KEEP_ALIVE_S:
                    yield keep_alive(page.next)
                    spoke_at = anyio.current_time()
                if page.at_end:
                    left_s = spoke_at + KEEP_ALIVE_S - anyio.current_time()
                    await tail.wait_beyond(page.next, max(0.0, left_s))
    except GatewayError as error:
        _LOGGER.warning("a stream was ended, and its client will come again: %s", error)
    yield keep_alive(reader.position)


def _structured(service: Services, event: Event) -> bytes:
    """The event as it is sent in structured mode, with its contract's URL where it has one."""
    if event.envelope is None:
        raise ValueError("an erased event is in no subscription's stream")
    envelope, dataschema = service.catalogue.as_sent(event.entry, event.envelope)
    return to_structured(envelope, dataschema=dataschema)


def _events_of(caller: Principal) -> str:
    return f"events of {caller.organization or EVERY_ORGANIZATION}"


def _subjects(caller: Principal, subject: str) -> tuple[str, ...]:
    """Whose places a stream takes: what it is of, and the organization's whose token asks."""
    return (subject,) if caller.admin else (subject, f"organization {caller.organization}")


async def _check_place(service: Services, position: int) -> None:
    """Refuse a position that the log has not come to: waiting there would silently miss what comes before it.

    Likewise one behind which a part of the log was archived: reading on would silently miss that.
    """
    end = await service.tail.ends_before(position)
    if end is not None:
        raise PositionAhead(f"The log ends at position {end}, before {position}.")
    await check_present(service, position + 1, NUMBER_MAX)


def _last_event_id(request: Request) -> int | None:
    """The position that a reconnecting client names (WHATWG HTML, 9.2.4); None: it names none."""
    text = request.headers.get("last-event-id", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= _POSITION_CHARS_MAX and int(text) <= NUMBER_MAX:
        return int(text)
    field = FieldError("Last-Event-ID", "must be the `id` of an event of this stream: a position in the log")
    raise InvalidRequest("This is no place in the stream.", fields=[field])


def _wants_events(request: Request) -> bool:
    """Whether ``Accept`` names server-sent events, and not batches as well or rather (RFC 9110, 12.5.1)."""
    wanted = _qualities(",".join(request.headers.getlist("accept")))
    return wanted.get(MEDIA_TYPE, 0.0) > wanted.get(BATCH_MEDIA_TYPE, 0.0)


def _qualities(accept: str) -> dict[str, float]:
    """The media ranges of an ``Accept`` with their weights; one that cannot be read weighs nothing."""
    found = {}
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((piece.removeprefix("q=") for piece in parameters if piece.startswith("q=")), "1")
        found[name] = float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return found
