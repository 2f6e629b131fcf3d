"""``/v1/subscriptions``: the CloudEvents Subscriptions API."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from gateway.api.auth import Caller
from gateway.api.body import read_json
from gateway.api.conditions import condition_of, shown
from gateway.api.idempotency import HEADER, Answer, kept, key_of
from gateway.api.paging import number_in, page_of
from gateway.api.services import Services, services
from gateway.domain.api_tokens import Principal
from gateway.domain.facts import rfc3339
from gateway.domain.sending import SinkRefused as SinkNotAllowed
from gateway.domain.signing import NEW_SECRET_BYTES, check_secret, new_secret
from gateway.domain.subscription import EVERY_ORGANIZATION, PULL_SINK, SubscriptionSpec
from gateway.domain.subscription_input import parse_patch, parse_replacement, parse_subscription
from gateway.errors import (
    FieldError,
    ForeignOrganization,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    SinkRefused,
)
from gateway.ports import Remembering, SubscriptionRecord, SubscriptionState
from gateway.views.subscriptions import etag, subscription_json
from schemas import Problem

PREFIX = "/v1/subscriptions"

router = APIRouter(prefix=PREFIX, tags=["subscriptions"])
_LIST = "subscriptions"

TOKEN_URL = "/sinkcredential/tokenurl"  # noqa: S105 - where the URL of a token endpoint stands
LIMIT = 50
LIMIT_MAX = 500


class Parse(Protocol):
    """Reads a change of a subscription."""

    def __call__(
        self, value: object, /, *, previous: SubscriptionSpec, organization: str
    ) -> tuple[SubscriptionSpec | None, list[Problem]]:
        """The new specification, or what is wrong with it."""
        ...


@dataclass(frozen=True, slots=True)
class _Change:
    """A change as it was asked for; ``merged``: it is made over the resource that was read."""

    body: object
    parse: Parse
    merged: bool


_PATCH_TRIES = 100
_CREATION = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": False,
            "description": "Makes a repetition within 24 h by the same token answer as the first time",
            "schema": {"type": "string", "minLength": 1},
        }
    ],
}
_ALLOW = "GET, PUT, PATCH, DELETE, OPTIONS"


@router.post("", status_code=201, summary="Make a subscription", openapi_extra=_CREATION)
async def create(request: Request, caller: Caller) -> JSONResponse:
    """Make a subscription. Its secret is shown this once; nothing is sent to the sink.

    With an `Idempotency-Key` a repetition within 24 h gets the same answer, the secret included.
    """
    idempotency = services(request).idempotency
    key, body = key_of(request, caller), await read_json(request)
    if key is None:
        return (await _create(request, caller, body, None)).response()
    with idempotency.serving(key):
        answer = await idempotency.answered(key, body)
        return (answer or await _create(request, caller, body, key)).response()


async def _create(request: Request, caller: Principal, body: object, key: bytes | None) -> Answer:
    service = services(request)
    asked, problems = parse_subscription(body)
    if asked is None:
        raise _invalid(problems)
    organization = organization_of(caller, asked.organization)
    await check_spec(service, asked.spec, privileged=caller.admin)
    secret = asked.secret or new_secret(service.random(NEW_SECRET_BYTES))

    def answer(record: SubscriptionRecord) -> Answer:
        headers = {"Location": f"{router.prefix}/{record.id}", "ETag": etag(record)}
        return Answer({**subscription_json(record), "secret": secret}, headers)

    remembering = None
    if key is not None:
        remembering = Remembering(
            key, service.idempotency.until_us(), lambda record: kept(answer(record), body)
        )
    record = await service.subscriptions.create(
        asked.spec,
        organization=organization,
        privileged=caller.admin,
        secret=secret,
        remembering=remembering,
    )
    service.changed(record.number)
    return answer(record)


@router.get("", summary="List subscriptions")
async def list_subscriptions(
    request: Request,
    caller: Caller,
    *,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT,
    cursor: str | None = None,
) -> JSONResponse:
    """A page of subscriptions in order of creation."""
    found = await services(request).subscriptions.page(
        organization=caller.organization, after=number_in(_LIST, cursor) or 0, limit=limit + 1
    )
    return page_of(_LIST, found, limit, keys=lambda record: (record.number,), shown=subscription_json)


@router.get("/{subscription_id}", summary="One subscription")
async def read(request: Request, caller: Caller, subscription_id: str) -> Response:
    """A subscription with its present state."""
    record = await own_subscription(services(request), caller, subscription_id)
    return shown(request, record, subscription_json(record))


@router.put("/{subscription_id}", summary="Replace a subscription")
async def replace(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Replace the whole resource; what is left out returns to its default."""
    change = _Change(await read_json(request), parse_replacement, merged=False)
    return await _revise(request, caller, subscription_id, change)


@router.patch("/{subscription_id}", summary="Change parts of a subscription")
async def patch(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Apply a JSON merge patch (RFC 7396)."""
    change = _Change(await read_json(request), parse_patch, merged=True)
    for _ in range(_PATCH_TRIES):
        try:
            return await _revise(request, caller, subscription_id, change)
        except PreconditionFailed:
            # A patch is over what was read; if somebody else was faster, it is over what they made of it.
            if "if-match" in request.headers or "if-none-match" in request.headers:
                raise
    raise PreconditionFailed("The subscription is being changed by others all the time.")


@router.delete("/{subscription_id}", status_code=204, summary="Delete a subscription")
async def delete(request: Request, caller: Caller, subscription_id: str) -> Response:
    """End the stream for good: cursor, pending deliveries and secrets are dropped; attempts stay until retention."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    await service.subscriptions.delete(record.number, unchanged_since_us=condition_of(request, record))
    await service.in_force(record.number)
    return Response(status_code=204)


@router.options("/{subscription_id}", status_code=204, summary="What can be done")
async def options(request: Request, caller: Caller, subscription_id: str) -> Response:
    """The methods of a subscription."""
    await own_subscription(services(request), caller, subscription_id)
    return Response(status_code=204, headers={"Allow": _ALLOW})


@router.post("/{subscription_id}/pause", summary="Let a stream stand still")
async def pause(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Start nothing more; what is in flight ends. A paused stream costs nothing, however long."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    record = await service.subscriptions.set_state(
        record.number, SubscriptionState.PAUSED, cause="a command", revision=_revision_asked(request, record)
    )
    await service.in_force(record.number)
    return _answer(record)


@router.post("/{subscription_id}/resume", summary="Let a stream go on")
async def resume(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Go on from the cursor, or with ``{"from": "now"}`` from here; also re-enables a disabled subscription."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    begin = _resume_from(await read_json(request))
    record = await service.subscriptions.set_state(
        record.number,
        SubscriptionState.ACTIVE,
        cause="a command",
        revision=_revision_asked(request, record),
        skip=begin == "now",
    )
    service.changed(record.number)
    return _answer(record)


@router.post("/{subscription_id}/rotate-secret", summary="Sign with another secret")
async def rotate_secret(request: Request, caller: Caller, subscription_id: str) -> JSONResponse:
    """Sign with a new secret, given or made, and show it this once; for 24 h the one before it signs as well."""
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    condition = condition_of(request, record)
    secret = _new_secret_of(await read_json(request)) or new_secret(service.random(NEW_SECRET_BYTES))
    record = await service.subscriptions.rotate_secret(record.number, secret, unchanged_since_us=condition)
    await service.in_force(record.number)
    until_us = max((one.until_us for one in record.secrets if one.until_us is not None), default=None)
    once = {"secret": secret, "overlap_until": None if until_us is None else rfc3339(until_us)}
    return JSONResponse({**subscription_json(record), **once}, headers={"ETag": etag(record)})


async def _revise(request: Request, caller: Principal, subscription_id: str, change: _Change) -> JSONResponse:
    service = services(request)
    record = await own_subscription(service, caller, subscription_id)
    condition = condition_of(request, record)
    spec, problems = change.parse(change.body, previous=record.spec, organization=record.organization)
    if spec is None:
        raise _invalid(problems)
    if not caller.admin:
        _keep_from_others(record, spec)
    await check_spec(service, spec, privileged=record.privileged and caller.admin, previous=record.spec)
    unchanged_since_us = record.updated_at_us if change.merged else condition
    record = await service.subscriptions.update(
        record.number, spec, unchanged_since_us=unchanged_since_us, privileged=caller.admin
    )
    await service.in_force(record.number)
    return _answer(record)


def _revision_asked(request: Request, record: SubscriptionRecord) -> int | None:
    """The revision that a change of state is for, where the request has a condition. Raises as `condition_of` does."""
    return None if condition_of(request, record) is None else record.revision


def _keep_from_others(record: SubscriptionRecord, spec: SubscriptionSpec) -> None:
    """What an administrator had sent along stays at the sink that it was for, whoever moves that.

    It is write-only (CONFORMANCE 36), and sent to another address it would be read. Raises ``InvalidRequest``.
    """
    moved = set(spec.destinations) - set(record.spec.destinations)
    if record.privileged and moved and set(spec.sent_secrets) & set(record.spec.sent_secrets):
        detail = "give credential and header values anew: those there are an administrator's, for the sink as it was"
        raise InvalidRequest("They are not sent elsewhere.", fields=[FieldError("/sinkcredential", detail)])


async def own_subscription(service: Services, caller: Principal, subscription_id: str) -> SubscriptionRecord:
    """One that the caller may see; any other one is not there (404)."""
    record = await service.subscriptions.get(subscription_id, organization=caller.organization)
    if record is None or not caller.sees(record.organization):
        raise NotFound("There is no subscription with this id.")
    return record


async def check_spec(
    service: Services, spec: SubscriptionSpec, *, privileged: bool, previous: SubscriptionSpec | None = None
) -> None:
    """Judge every URL that requests are to go to. Raises ``SinkRefused``.

    Those that it has already were judged, and are again at every connection. Nor may a stream begin later than now:
    what is appended until then would be in it all the same.
    """
    start = spec.config.start
    if previous is None and isinstance(start, datetime) and start.timestamp() * 1_000_000 > service.now():
        fault = FieldError("/config/start", "lies in the future; give a time that has been, or `now`")
        raise InvalidRequest("This start lies ahead of the log.", fields=[fault])
    if previous is None or spec.sink != previous.sink:
        await check_sink(service, spec.sink, privileged=privileged)
    if spec.token_url is not None and (previous is None or spec.token_url != previous.token_url):
        await check_sink(service, spec.token_url, privileged=privileged, pointer=TOKEN_URL)


async def check_sink(service: Services, sink: str, *, privileged: bool, pointer: str = "/sink") -> None:
    """Judge a URL that is named; that nothing is ever sent needs no judgement. Raises ``SinkRefused``."""
    if sink == PULL_SINK and pointer != TOKEN_URL:
        return
    try:
        await service.admit_sink(sink, privileged)
    except SinkNotAllowed as refused:
        raise SinkRefused(
            "The sink is not allowed.", fields=[FieldError(pointer, str(refused))], hint=""
        ) from None


def organization_of(caller: Principal, named: str | None) -> str:
    """The token's own; an administrator's is the one named, else every one (S11a)."""
    if caller.organization is None:
        return named or EVERY_ORGANIZATION
    if named not in {None, caller.organization}:
        raise ForeignOrganization("The subscription names another organization than the token's.")
    return caller.organization


def _answer(record: SubscriptionRecord) -> JSONResponse:
    return JSONResponse(subscription_json(record), headers={"ETag": etag(record)})


def _resume_from(body: object) -> Literal["cursor", "now"]:
    if body is None or body == {}:
        return "cursor"
    match body:
        case {"from": "cursor" | "now" as begin, **rest} if not rest:
            return "now" if begin == "now" else "cursor"
        case _:
            pass
    fields = [FieldError("/from", "must be `cursor` (the default) or `now`, and nothing else beside it")]
    raise InvalidRequest("This is not a way to resume.", fields=fields)


def _new_secret_of(body: object) -> str | None:
    """The secret that a rotation is asked for with; None: one is to be made."""
    if body is None or body == {}:
        return None
    fault = Problem("/secret", "must be the new secret, or left out, and nothing else beside it")
    match body:
        case {"secret": str(text), **rest} if not rest:
            found = check_secret(text)
            if found is None:
                return text
            fault = found
        case _:
            pass
    raise InvalidRequest("This is no rotation.", fields=[FieldError(fault.pointer, fault.detail)])


def _invalid(problems: Sequence[Problem]) -> InvalidRequest:
    fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
    return InvalidRequest("The subscription is not valid.", fields=fields)
