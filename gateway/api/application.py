"""The FastAPI application."""

from typing import Any, Final

from fastapi import FastAPI

from gateway.api import (
    deliveries,
    delivery_lists,
    erasures,
    events,
    handshakes,
    payloads,
    quarantine,
    service_routes,
    statistics,
    stream_commands,
    streams,
    subscription_import,
    subscriptions,
    tokens,
    traces,
    vault_keys,
    webhooks,
)
from gateway.api.guarding import HostCheck
from gateway.api.problems import GUARDED, add_handlers
from gateway.api.services import Services

DESCRIPTION = "An event gateway for AI agents: CloudEvents in, signed webhooks out, at least once."

_BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `/v1/tokens`, or the first administrator token.",
}


class _Api(FastAPI):
    """FastAPI whose document says where a token is wanted: every route of `/v1` asks for it in the same way."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        document = super().openapi()
        document.setdefault("components", {}).setdefault("securitySchemes", {})["bearer"] = _BEARER
        for path, operations in document["paths"].items():
            for operation in operations.values():
                if path.startswith(GUARDED):
                    operation["security"] = [{"bearer": []}]
        return document


def create_api(services: Services, version: str) -> FastAPI:
    """The API over these services."""
    # The interactive page of FastAPI would load scripts from a host that nobody here controls.
    app = _Api(title="letta-gateway", version=version, description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.services = services
    add_handlers(app)
    for router in (
        streams.router,  # before the events: `stream` is no position
        events.router,
        traces.router,
        subscriptions.router,
        subscription_import.router,
        stream_commands.router,
        statistics.router,
        deliveries.router,
        delivery_lists.router,
        payloads.router,
        handshakes.router,
        *webhooks.routers,
        quarantine.router,
        erasures.router,
        tokens.router,
        vault_keys.router,
        service_routes.router,
    ):
        app.include_router(router)
    if not services.production:
        app.add_middleware(HostCheck, allowed=services.allowed_hosts)
    return app
