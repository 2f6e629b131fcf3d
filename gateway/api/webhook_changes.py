"""Setting a webhook: made where there is none, else changed, whoever else does the same at the same time.

There is one webhook of a scope at most: the store sees to that. A change is up to three transactions, so each begins
where the one before it left off, or all begin again: what comes out is what one of the callers has asked for, whole.
"""

from fastapi import Request
from fastapi.responses import JSONResponse

from gateway.api.conditions import condition_of
from gateway.api.services import Services, services
from gateway.api.subscriptions import check_sink
from gateway.domain.api_tokens import Principal
from gateway.domain.signing import NEW_SECRET_BYTES, new_secret
from gateway.domain.webhooks import WebhookInput, WebhookScope
from gateway.errors import Conflict, NotFound, PreconditionFailed
from gateway.ports import NewSubscription, SubscriptionRecord, SubscriptionState
from gateway.views.subscriptions import etag
from gateway.views.webhooks import webhook_json

_TRIES = 100
_CAUSE = "a command"


async def put_webhook(
    request: Request, caller: Principal, scope: WebhookScope, asked: WebhookInput
) -> JSONResponse:
    """The answer to a PUT. Raises ``SinkRefused``, and ``PreconditionFailed`` where ``If-Match`` does not match."""
    service = services(request)
    conditional = "if-match" in request.headers
    for _ in range(_TRIES):
        record = await service.subscriptions.webhook(scope.organization, scope.key)
        if record is None and conditional:
            raise PreconditionFailed("There is no webhook here any more.", hint="PUT it without If-Match.")
        if record is not None:
            condition_of(request, record)
        await _check_url(service, caller, asked, record)
        try:
            if record is None:
                return await _make(service, caller, scope, asked)
            return await _change(service, caller, scope, asked, record)
        except (Conflict, NotFound, PreconditionFailed):
            continue  # somebody was faster; with If-Match the next look says so
    raise PreconditionFailed("The webhook is being changed by others all the time.")


async def _check_url(
    service: Services, caller: Principal, asked: WebhookInput, record: SubscriptionRecord | None
) -> None:
    if record is None:
        await check_sink(service, asked.url, privileged=caller.admin, pointer="/url")
    elif record.spec.sink != asked.url:  # the one it has was judged, and is again at every connection
        await check_sink(service, asked.url, privileged=record.privileged and caller.admin, pointer="/url")


async def _make(
    service: Services, caller: Principal, scope: WebhookScope, asked: WebhookInput
) -> JSONResponse:
    secret = asked.secret or new_secret(service.random(NEW_SECRET_BYTES))
    spec = asked.over(scope, None)
    [record] = await service.subscriptions.create_many(
        [NewSubscription(spec, scope.organization, caller.admin, secret, scope.key, not asked.enabled)]
    )
    service.changed(record.number)
    shown = {**webhook_json(record, scope), "secret": secret}
    return JSONResponse(shown, status_code=201, headers={"ETag": etag(record)})


async def _change(
    service: Services, caller: Principal, scope: WebhookScope, asked: WebhookInput, record: SubscriptionRecord
) -> JSONResponse:
    """Replace what the view has. Paused before it changes, and resumed after it has: never the new URL by mistake."""
    store, number = service.subscriptions, record.number
    since_us = record.updated_at_us
    if not asked.enabled and record.state is SubscriptionState.ACTIVE:
        paused = await store.set_state(
            number, SubscriptionState.PAUSED, cause=_CAUSE, revision=record.revision
        )
        since_us = paused.updated_at_us
    changed = await store.update(
        number,
        asked.over(scope, record.spec),
        unchanged_since_us=since_us,
        privileged=caller.admin,
    )
    if asked.secret is not None:
        changed = await store.rotate_secret(number, asked.secret)
    if asked.enabled:
        changed = await store.set_state(
            number, SubscriptionState.ACTIVE, cause=_CAUSE, revision=changed.revision
        )
    await service.in_force(number)
    return JSONResponse(webhook_json(changed, scope), headers={"ETag": etag(changed)})
