"""``/v1/subscriptions/import``: many subscriptions in one request, all or none."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio
import anyio.lowlevel
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from gateway.api.auth import Administrator
from gateway.api.body import read_body
from gateway.api.services import Services, services
from gateway.api.subscriptions import PREFIX, TOKEN_URL, check_sink, organization_of
from gateway.domain.signing import NEW_SECRET_BYTES, new_secret
from gateway.domain.subscription_input import SubscriptionInput, parse_subscription
from gateway.errors import (
    FieldError,
    InvalidRequest,
    RequestError,
    SinkRefused,
    TooLarge,
    UnsupportedFormat,
)
from gateway.ports import NewSubscription
from schemas import EnvelopeError, Problem, strict_json

router = APIRouter(prefix=PREFIX, tags=["subscriptions"])

ITEMS_MAX = 1_000
BYTES_MAX = 4 * 1024 * 1024
_FAULTS_MAX = 100
_LOOK_UPS = 32
_AT_A_TIME = 20
_ARRAY = frozenset({"application/json", ""})
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})


@dataclass(slots=True)
class _Faults:
    """What is wrong, so much of it as an answer can hold."""

    found: list[FieldError]
    left_out: int = 0

    def add(self, index: int, problems: Sequence[Problem]) -> None:
        for problem in problems:
            if len(self.found) < _FAULTS_MAX:
                self.found.append(FieldError(f"/{index}{problem.pointer}", problem.detail))
            else:
                self.left_out += 1

    def refuse(self, kind: type[InvalidRequest], what: str) -> None:
        """Raise, if there are any."""
        if self.found:
            more = f" {self.left_out} more are not shown." if self.left_out else ""
            fields = sorted(self.found, key=lambda field: int(field.pointer.split("/")[1]))
            raise kind(f"{what} Nothing was imported.{more}", fields=fields, hint="")


@router.post("/import", status_code=201, summary="Make many subscriptions at once")
async def import_many(request: Request, caller: Administrator) -> JSONResponse:
    """Take a JSON array, or one JSON object a line (``application/x-ndjson``), of what ``POST`` takes one of.

    At most 1,000 in 4 MiB; all are made, in one transaction, or none. The answer has id and secret of each, in the
    order of the request; the pointer of a fault begins with the place of its subscription, from 0.
    """
    service = services(request)
    asked = await _parsed(await _items(request))
    await _check_sinks(service, asked)
    wanted = [
        NewSubscription(
            one.spec,
            organization_of(caller, one.organization),
            caller.admin,
            one.secret or new_secret(service.random(NEW_SECRET_BYTES)),
        )
        for one in asked
    ]
    made = await service.subscriptions.create_many(wanted)
    # The router meets their facts; none of them needs more than that.
    service.appended()
    items = [{"id": record.id, "secret": new.secret} for record, new in zip(made, wanted, strict=True)]
    return JSONResponse({"items": items}, status_code=201)


async def _items(request: Request) -> list[object]:
    """The values of the body; a line that is not JSON is kept as its fault."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _ARRAY | _LINES:
        raise UnsupportedFormat("This route takes application/json or application/x-ndjson.", hint="")
    raw = await read_body(request, BYTES_MAX)
    if kind in _LINES:
        items = [_decoded(line) async for line in _lines(raw)]
    else:
        value = _decoded(raw)
        if isinstance(value, EnvelopeError):
            raise RequestError(f"The body is not valid JSON: {value.problems[0].detail}.")
        if not isinstance(value, list):
            raise InvalidRequest("The body is not an array of subscriptions.", hint="")
        items = value
    if len(items) > ITEMS_MAX:
        raise TooLarge(f"The body has more than {ITEMS_MAX} subscriptions.")
    return items


async def _lines(raw: bytes) -> AsyncIterator[bytes]:
    for number, line in enumerate(line for line in raw.split(b"\n") if line.strip()):
        if number % _AT_A_TIME == 0:
            await anyio.lowlevel.checkpoint()
        yield line


def _decoded(raw: bytes) -> object:
    try:
        return strict_json.decode(raw, "")
    except EnvelopeError as error:
        return error


async def _parsed(items: Sequence[object]) -> list[SubscriptionInput]:
    """Read every one, so that one answer names all that is wrong."""
    faults = _Faults([])
    asked = []
    for index, item in enumerate(items):
        if index % _AT_A_TIME == 0:
            await anyio.lowlevel.checkpoint()
        if isinstance(item, EnvelopeError):
            faults.add(index, item.problems)
            continue
        one, problems = parse_subscription(item)
        faults.add(index, problems)
        if one is not None:
            asked.append(one)
    faults.refuse(InvalidRequest, "Some subscriptions are not valid.")
    return asked


async def _check_sinks(service: Services, asked: Sequence[SubscriptionInput]) -> None:
    """Judge each sink once, some at a time: names may take a while to be looked up."""
    places: dict[tuple[str, str], list[int]] = {}
    for index, one in enumerate(asked):
        places.setdefault(("/sink", one.spec.sink), []).append(index)
        if one.spec.token_url is not None:
            places.setdefault((TOKEN_URL, one.spec.token_url), []).append(index)
    faults, turn = _Faults([]), anyio.Semaphore(_LOOK_UPS)

    async def check(pointer: str, sink: str) -> None:
        async with turn:
            try:
                await check_sink(service, sink, privileged=True, pointer=pointer)
            except SinkRefused as refused:
                for index in places[pointer, sink]:
                    faults.add(index, [Problem(field.pointer, field.detail) for field in refused.fields])

    async with anyio.create_task_group() as group:
        for pointer, sink in places:
            group.start_soon(check, pointer, sink)
    faults.refuse(SinkRefused, "Some sinks are not allowed.")
