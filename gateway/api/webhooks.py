"""Letta's own view: the webhook of an agent, of an organization, or of all of them, a subscription underneath."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.convertors import Convertor, register_url_convertor

from gateway.api.auth import Administrator, Caller
from gateway.api.body import read_json
from gateway.api.conditions import condition_of, shown
from gateway.api.deliveries import own_delivery
from gateway.api.delivery_lists import DeliveryFilter, asked_of_agent, asked_of_any, deliveries_page
from gateway.api.services import Services, services
from gateway.api.stream_commands import send_test, try_again
from gateway.api.webhook_changes import put_webhook
from gateway.domain.subscription import EVERY_ORGANIZATION
from gateway.domain.webhooks import ID_CHARS_MAX, WebhookScope, is_id, parse_webhook
from gateway.errors import FieldError, InvalidRequest, NotFound
from gateway.ports import SubscriptionRecord
from gateway.views.webhooks import webhook_json

Named = Annotated[
    str | None,
    Query(
        description="Whose webhook it is; an administrator's is that of every organization, unless one is named"
    ),
]


def _of_agent(caller: Caller, agent_id: str, organization: Named = None) -> WebhookScope:
    """The agent within the token's organization, within the one named, or, an administrator's, within all (S11a)."""
    own = organization or caller.organization or EVERY_ORGANIZATION
    _check_ids(agent_id=agent_id, organization=own)
    if not caller.sees(own):
        raise _unknown()
    return WebhookScope(own, agent_id)


def _of_organization(caller: Caller, organization_id: str) -> WebhookScope:
    """One organization, if it is the caller's to see."""
    _check_ids(organization_id=organization_id)
    if not caller.sees(organization_id):
        raise _unknown()
    if organization_id == EVERY_ORGANIZATION:
        fault = FieldError("organization_id", "names one organization; the webhook of all is at /v1/webhook")
        raise InvalidRequest("This is no organization.", fields=[fault])
    return WebhookScope(organization_id)


def _check_ids(**ids: str) -> None:
    """Raises ``InvalidRequest`` for what nobody can be called: there is none, and none can be made."""
    detail = f"an id has 1 to {ID_CHARS_MAX} characters, all of them printable"
    faults = [FieldError(name, detail) for name, value in ids.items() if not is_id(value)]
    if faults:
        raise InvalidRequest("Nobody can be called so.", fields=faults)


def _of_all(_caller: Administrator) -> WebhookScope:
    return WebhookScope(EVERY_ORGANIZATION)


def _routes(
    prefix: str,
    whose: Callable[..., WebhookScope],
    called: str,
    asked_of: Callable[..., DeliveryFilter] = asked_of_any,
) -> APIRouter:
    """The routes of one kind of webhook."""
    router = APIRouter(prefix=prefix, tags=["webhooks"])
    Scope = Annotated[WebhookScope, Depends(whose)]  # noqa: N806 - a type
    Asked = Annotated[DeliveryFilter, Depends(asked_of)]  # noqa: N806 - likewise

    @router.put("", summary=f"Set the webhook of {called}", responses={201: {"description": "Made"}})
    async def put(request: Request, caller: Caller, scope: Scope) -> JSONResponse:
        """Make it, or replace it: `{url, events, secret?, enabled}`, events by their short names, all if left out.

        The secret is in the answer that made it, this once. `enabled: false` pauses: what happens meanwhile is sent
        when it is enabled again. How it is sent (retries, headers, format) is changed at the subscription with the same
        `id`, and stays as it is.
        """
        asked, problems = parse_webhook(await read_json(request))
        if asked is None:
            fields = [FieldError(problem.pointer, problem.detail) for problem in problems]
            raise InvalidRequest("The webhook is not valid.", fields=fields)
        return await put_webhook(request, caller, scope, asked)

    @router.get("", summary=f"The webhook of {called}")
    async def read(request: Request, scope: Scope) -> Response:
        """The webhook with its present state; 404 where there is none."""
        record = await _webhook(services(request), scope)
        return shown(request, record, webhook_json(record, scope))

    @router.delete("", status_code=204, summary=f"Remove the webhook of {called}")
    async def delete(request: Request, scope: Scope) -> Response:
        """End it for good, with the subscription underneath."""
        service = services(request)
        record = await _webhook(service, scope)
        await service.subscriptions.delete(record.number, unchanged_since_us=condition_of(request, record))
        await service.in_force(record.number)
        return Response(status_code=204)

    @router.post("/test", status_code=202, summary=f"Send a test event to the webhook of {called}")
    async def test(request: Request, scope: Scope) -> JSONResponse:
        """Append an event that only this webhook gets; its POST carries `X-Letta-Test: 1`."""
        service = services(request)
        return await send_test(service, await _webhook(service, scope))

    @router.get("/deliveries", summary=f"What became of the events for the webhook of {called}")
    async def deliveries(request: Request, scope: Scope, asked: Asked) -> JSONResponse:
        """A page of deliveries with their attempts, as at `/v1/subscriptions/{id}/deliveries`."""
        service = services(request)
        return await deliveries_page(service, await _webhook(service, scope), asked)

    @router.post(
        "/deliveries/{delivery_id}/retry",
        status_code=202,
        summary=f"One more attempt for the webhook of {called}",
    )
    async def retry(request: Request, caller: Caller, scope: Scope, delivery_id: str) -> JSONResponse:
        """Try a delivery of this webhook once more, now."""
        service = services(request)
        record = await _webhook(service, scope)
        found = await own_delivery(service, caller, delivery_id)
        if found.number != record.number:
            raise NotFound("There is no delivery with this id.")
        return await try_again(service, found, delivery_id)

    return router


class _AnyId(Convertor[str]):
    """An id in a path, slashes and all: the server has decoded `%2F` by the time a route is looked for."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("any_id", _AnyId())

routers = (
    _routes("/v1/agents/{agent_id:any_id}/webhook", _of_agent, "an agent", asked_of_agent),
    _routes("/v1/organizations/{organization_id:any_id}/webhook", _of_organization, "an organization"),
    _routes("/v1/webhook", _of_all, "all organizations"),
)


async def _webhook(service: Services, scope: WebhookScope) -> SubscriptionRecord:
    record = await service.subscriptions.webhook(scope.organization, scope.key)
    if record is None:
        raise _unknown()
    return record


def _unknown() -> NotFound:
    """The same words for what is another's and for what is not there."""
    return NotFound("There is no webhook here.", hint="PUT one: its `url`, and the `events` it is for.")
