"""The FastAPI application."""

from typing import Any

from fastapi import FastAPI

from gateway.api import (
    archives,
    deliveries,
    delivery_lists,
    documents,
    erasures,
    events,
    handshakes,
    payloads,
    quarantine,
    registry,
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
from gateway.api.heads import HeadAnswers
from gateway.api.problems import add_handlers
from gateway.api.services import Services

DESCRIPTION = "An event gateway for AI agents: CloudEvents in, signed webhooks out, at least once."


class _Api(FastAPI):
    """FastAPI whose document says what the routes read and answer by hand."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once; what is served is the one that is committed (``documents.py``)."""
        # Its shapes are a fourth of all that a start would import, and nothing else needs them.
        from gateway.api.document.openapi import complete  # noqa: PLC0415

        if self.openapi_schema is None:
            self.openapi_schema = complete(super().openapi())
        return self.openapi_schema


def openapi_document(version: str) -> dict[str, Any]:
    """The document of a version of the gateway, as the routes have it."""
    return _routed(version).openapi()


def create_api(services: Services, version: str) -> FastAPI:
    """The API over these services."""
    app = _routed(version)
    app.state.services = services
    add_handlers(app)
    app.add_middleware(HeadAnswers)
    if not services.production:
        app.add_middleware(HostCheck, allowed=services.allowed_hosts)
    return app


def _routed(version: str) -> _Api:
    # The interactive page of FastAPI would load scripts from a host that nobody here controls.
    # Nor does it send who wrote a slash too many on to a URL made of the request's own Host.
    app = _Api(
        title="letta-gateway",
        version=version,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
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
        archives.router,
        tokens.router,
        vault_keys.router,
        registry.router,
        service_routes.router,
        documents.router,
    ):
        app.include_router(router)
    return app
