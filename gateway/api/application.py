"""The FastAPI application."""

from fastapi import FastAPI

from gateway.api import (
    deliveries,
    delivery_lists,
    events,
    payloads,
    quarantine,
    service_routes,
    stream_commands,
    streams,
    subscription_import,
    subscriptions,
    vault_keys,
)
from gateway.api.guarding import HostCheck
from gateway.api.problems import add_handlers
from gateway.api.services import Services

DESCRIPTION = "An event gateway for AI agents: CloudEvents in, signed webhooks out, at least once."


def create_api(services: Services, version: str) -> FastAPI:
    """The API over these services."""
    # The interactive page of FastAPI would load scripts from a host that nobody here controls.
    app = FastAPI(
        title="letta-gateway", version=version, description=DESCRIPTION, docs_url=None, redoc_url=None
    )
    app.state.services = services
    add_handlers(app)
    for router in (
        streams.router,  # before the events: `stream` is no position
        events.router,
        subscriptions.router,
        subscription_import.router,
        stream_commands.router,
        deliveries.router,
        delivery_lists.router,
        payloads.router,
        quarantine.router,
        vault_keys.router,
        service_routes.router,
    ):
        app.include_router(router)
    if not services.production:
        app.add_middleware(HostCheck, allowed=services.allowed_hosts)
    return app
