"""What is asked of a delivery stream: a test, a replay, one more attempt. Each is a fact; the owner acts (S6b)."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.archived import check_present
from gateway.api.auth import Caller
from gateway.api.body import read_json
from gateway.api.deliveries import Found, own_delivery
from gateway.api.services import Services, services
from gateway.api.subscriptions import own_subscription
from gateway.domain.ids import NUMBER_MAX
from gateway.domain.replay_input import AskedReplay, parse_replay
from gateway.errors import Conflict, FieldError, InvalidRequest, NotFound
from gateway.ports import ReplayRange, ReplayState, SubscriptionRecord, SubscriptionState
from gateway.views.replays import count_replay, replay_json

router = APIRouter(tags=["streams"])

_SUBSCRIPTION = "/v1/subscriptions/{subscription_id}"
_SECOND_US = 1_000_000

ReplayId = Annotated[int, Path(ge=1, le=NUMBER_MAX)]


@router.post(_SUBSCRIPTION + "/test", status_code=202, summary="Send a test event")
async def test(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Append an event that only this subscription gets; its POST carries `X-Letta-Test: 1`."""
    service = services(request)
    return await send_test(service, await own_subscription(service, caller, subscription_id))


@router.post(_SUBSCRIPTION + "/replay", status_code=202, summary="Send events again")
async def replay(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Send a range of the log again, beside the live stream; with `dry_run` answer 200 and the count only."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    asked, problems = parse_replay(await read_json(request))
    if asked is None:
        fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
        raise InvalidRequest("This is not a replay.", fields=fields)
    if record.pull_only:
        raise Conflict("Nothing is sent to it: this subscription is only pulled.", hint="Fetch with `after`.")
    wanted = await _range(service, asked)
    if asked.dry_run:
        await check_present(service, wanted.from_position, wanted.until_position)
        count = await count_replay(service.log, service.deliveries, record, wanted)
        return JSONResponse(
            {"count": count, "from_position": wanted.from_position, "until_position": wanted.until_position}
        )
    check_enabled(record)
    found = await service.commands.request_replay(record.number, wanted)
    service.changed(record.number)
    return JSONResponse(replay_json(found), status_code=202)


@router.get(_SUBSCRIPTION + "/replays", summary="The replays that run")
async def replays(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """The replays of a subscription that have not ended, in the order in which they were asked for."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    found = await service.deliveries.replays([record.number])
    return JSONResponse({"items": [replay_json(item) for item in found], "next": None})


@router.get(_SUBSCRIPTION + "/replays/{replay_id}", summary="One replay, ended or not")
async def one_replay(
    request: Request, caller: Caller, subscription_id: str, replay_id: ReplayId
) -> JSONResponse:
    """How far it has come, or how it ended: ``finished`` or ``cancelled``."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    found = await service.deliveries.replay(replay_id)
    if found is None or found.number != record.number:
        raise NotFound("This subscription has no replay with this id.")
    return JSONResponse(replay_json(found))


@router.delete(_SUBSCRIPTION + "/replays/{replay_id}", status_code=204, summary="Cancel a replay that runs")
async def cancel(request: Request, caller: Caller, subscription_id: str, replay_id: ReplayId) -> Response:
    """Send no more of it; what it has begun goes on by its schedule."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    if replay_id not in {item.replay for item in await service.deliveries.replays([record.number])}:
        raise NotFound("This subscription has no running replay with this id.")
    await service.commands.end_replay(replay_id, ReplayState.CANCELLED)
    service.changed(record.number)
    return Response(status_code=204)


@router.post("/v1/deliveries/{delivery_id}/retry", status_code=202, summary="One more attempt now")
async def retry(request: Request, caller: Caller, delivery_id: str) -> JSONResponse:
    """Try a delivery once more, now; one that has ended begins a new round with a schedule of its own."""
    service = services(request)
    return await try_again(service, await own_delivery(service, caller, delivery_id), delivery_id)


async def send_test(service: Services, record: SubscriptionRecord) -> JSONResponse:
    """Ask for a test event, and say where in the log it stands. Raises ``Conflict`` where nothing is ever sent."""
    check_enabled(record)
    position = await service.commands.test(record.number)
    service.changed(record.number)
    return JSONResponse({"position": position}, status_code=202)


async def try_again(service: Services, found: Found, delivery_id: str) -> JSONResponse:
    """Ask for one more attempt. Raises as ``StreamCommands.retry`` does."""
    number, position = found.number, found.entry.position
    await service.commands.retry(number, position)
    service.changed(number)
    return JSONResponse({"id": delivery_id, "position": position}, status_code=202)


def check_enabled(record: SubscriptionRecord) -> None:
    """Refuse a command that a disabled stream has no use for; raises ``Conflict``."""
    if record.state is SubscriptionState.DISABLED:
        raise Conflict("The subscription is disabled.", hint="Resume it first.")


async def _range(service: Services, asked: AskedReplay) -> ReplayRange:
    """Positions, both included; what lies ahead of the log's end is not promised."""
    head = (await service.log.head()).position
    first = asked.from_position
    if first is None and asked.since is not None:
        first = 1 + await service.log.position_at(int(asked.since.timestamp() * _SECOND_US))
    last = asked.until_position or head
    if asked.until is not None:
        # Included, as `since` is: everything that was appended up to and at this time.
        last = await service.log.position_at(int(asked.until.timestamp() * _SECOND_US) + 1)
    begin = first or 1
    if begin > head:
        name = "from_position" if asked.since is None else "since"
        fields = [FieldError(f"/{name}", f"the log ends before it, at position {head}")]
        raise InvalidRequest("There is nothing to replay.", fields=fields)
    return ReplayRange(begin, min(max(last, begin - 1), head), asked.only_failed)
