# No `from __future__ import annotations`: FastAPI reads the annotations below, which name what is only known here.
"""The routes themselves, for Letta's FastAPI application; imported in its server alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response
from starlette.requests import ClientDisconnect

from letta_emitter.routes import documents
from letta_emitter.routes.client import Gateway
from letta_emitter.routes.exchange import BODY_BYTES_MAX, call
from letta_emitter.routes.parameters import asked_of_deliveries
from letta_emitter.routes.problems import BUSY, TOO_LARGE, UNREADABLE, RouteProblem

_DRAINED_BYTES_MAX = 16 * BODY_BYTES_MAX
_EVERY_ORGANIZATION = "*"  # to the gateway

DeliveryId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="`dlv_…`, from a delivery")]


@dataclass(frozen=True, slots=True)
class LettaSide:
    """What of Letta's the routes stand on.

    Attributes:
        agent_path: Makes the parameter that an agent's id is on every route of Letta's.
        server: A dependency: Letta's server, with its managers.
        headers: A dependency: the headers by which Letta knows who asks.
    """

    agent_path: Callable[[], Any]
    server: Callable[..., Any]
    headers: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """An agent that the caller may see, and its organization."""

    agent_id: str
    organization: str


def make_router(letta: LettaSide, gateway: Gateway) -> APIRouter:
    """Make the routes, without the prefix of the API's version."""
    agent_path = letta.agent_path()

    async def scope_of(
        agent_id: Annotated[str, agent_path],
        server: Annotated[Any, Depends(letta.server)],  # noqa: ANN401 - Letta's own classes have no types
        headers: Annotated[Any, Depends(letta.headers)],  # noqa: ANN401 - likewise
    ) -> Scope:
        """Look the agent up as Letta's routes do. What Letta raises, it answers as it does elsewhere."""
        actor = await server.user_manager.get_actor_or_default_async(actor_id=headers.actor_id)
        await server.agent_manager.validate_agent_exists_async(agent_id=agent_id, actor=actor)
        # Letta shows an actor the agents of its own organization alone, and the events of their work name it too.
        organization = actor.organization_id
        if (
            not organization or organization == _EVERY_ORGANIZATION
        ):  # an administrator's token would set all agents'
            raise HTTPException(404, "This agent has no organization that could have webhooks")
        return Scope(agent_id, str(organization))

    agent = Annotated[Scope, Depends(scope_of)]
    router = APIRouter(prefix="/agents/{agent_id}/webhook", tags=["agents"], default_response_class=Response)
    _add_webhook(router, agent, gateway)
    _add_deliveries(router, agent, gateway)
    return router


def _add_webhook(router: APIRouter, agent: Any, gateway: Gateway) -> None:  # noqa: ANN401 - an annotation
    @router.put("", **documents.PUT)
    async def put_agent_webhook(request: Request, scope: agent) -> Response:
        """Make it, or replace it: the URL, the events by their short names (all, if left out), enabled or not.

        The secret that its POSTs are signed with is in the answer that made it, this once.
        """
        return await _forward(gateway, request, scope)

    @router.get("", **documents.GET)
    async def retrieve_agent_webhook(request: Request, scope: agent) -> Response:
        """The webhook with its present state; 404 where there is none."""
        return await _forward(gateway, request, scope)

    @router.delete("", **documents.DELETE)
    async def delete_agent_webhook(request: Request, scope: agent) -> Response:
        """End it for good."""
        return await _forward(gateway, request, scope)

    @router.post("/test", **documents.TEST)
    async def test_agent_webhook(request: Request, scope: agent) -> Response:
        """Send a test event, that only this webhook gets; its POST carries `X-Letta-Test: 1`."""
        return await _forward(gateway, request, scope, "/test")


def _add_deliveries(router: APIRouter, agent: Any, gateway: Gateway) -> None:  # noqa: ANN401 - an annotation
    @router.get("/deliveries", **documents.DELIVERIES)
    async def list_agent_webhook_deliveries(
        request: Request,
        scope: agent,
        asked: Annotated[Mapping[str, object], Depends(asked_of_deliveries)],
    ) -> Response:
        """What became of its events, the latest first, each with every attempt and what was answered to it."""
        return await _forward(gateway, request, scope, "/deliveries", asked)

    @router.post("/deliveries/{delivery_id}/retry", **documents.RETRY)
    async def retry_agent_webhook_delivery(
        request: Request, scope: agent, delivery_id: DeliveryId
    ) -> Response:
        """Try a delivery once more, now."""
        return await _forward(gateway, request, scope, f"/deliveries/{delivery_id}/retry")


async def _forward(
    gateway: Gateway,
    request: Request,
    scope: Scope,
    below: str = "",
    query: Mapping[str, object] | None = None,
) -> Response:
    """The gateway's answer, or a problem. Letta's handlers of errors are not for what goes wrong here."""
    try:
        asked = call(
            request.method,
            scope.agent_id,
            scope.organization,
            below=below,
            query=query,
            headers=request.headers.raw,
            body=await _read(request),
        )
        answer = await gateway.send(asked)
    except RouteProblem as problem:
        headers = {"Retry-After": "1"} if problem.kind is BUSY else {}
        return Response(problem.body(), problem.kind.status, headers, "application/problem+json")
    return Response(answer.body, answer.status, dict(answer.headers))


async def _read(request: Request) -> bytes:
    """The body. What is too large is read on for a while, or the client would see no answer but a reset."""
    body = bytearray()
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= BODY_BYTES_MAX:
                body += chunk
            elif size > _DRAINED_BYTES_MAX:
                break
    except ClientDisconnect:
        raise RouteProblem(UNREADABLE, "The body ended before its end.") from None
    if size > BODY_BYTES_MAX:
        raise RouteProblem(TOO_LARGE, f"It has more than {BODY_BYTES_MAX} bytes.")
    return bytes(body)
