"""Putting the routes on Letta's application. Whatever is in the way is said once, and Letta goes on without them."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any, Final

from letta_emitter.errors import EmitterError, SettingsError
from letta_emitter.routes.client import Gateway, Reporting
from letta_emitter.routes.settings import access

if TYPE_CHECKING:
    from fastapi import FastAPI

    from letta_emitter.routes.router import LettaSide

MOUNTED: Final = "mounted"
WHERE: Final = "/v1/agents/{agent_id}/webhook"
_PREFIXES: Final = ("/v1", "/latest")  # where Letta has its own; the second one it does not document


def mount(app: FastAPI, report: Reporting) -> str | None:
    """Mount the routes, if they are wanted. Returns what became of it: `MOUNTED`, why not, or None.

    Raises nothing: what goes wrong is reported.
    """
    try:
        wanted = access()
        if wanted is None:
            return None
        add_routes(app, find_letta(), Gateway(wanted, report=report))
    except Exception as error:  # noqa: BLE001 (nothing may keep Letta from starting)
        said = str(error) if isinstance(error, EmitterError) else f"{type(error).__name__}: {error}"
        report("routes", f"no webhook routes on Letta's API: {said}")
        return said
    return MOUNTED


def find_letta() -> LettaSide:
    """Find what the routes stand on.

    Raises:
        SettingsError: this Letta has not got it.
    """
    try:
        from letta.server.rest_api.dependencies import (  # noqa: PLC0415 (only in a server)
            get_headers,
            get_letta_server,
        )
        from letta.services.agent_manager import AgentManager  # noqa: PLC0415 (likewise)
        from letta.services.user_manager import UserManager  # noqa: PLC0415 (likewise)
        from letta.validators import PATH_VALIDATORS  # noqa: PLC0415 (likewise)

        from letta_emitter.routes.router import LettaSide  # noqa: PLC0415 (likewise)

        found = LettaSide(PATH_VALIDATORS["agent"], get_letta_server, get_headers)
        for owner, method in (
            (AgentManager, "validate_agent_exists_async"),
            (UserManager, "get_actor_or_default_async"),
        ):
            getattr(owner, method)
    except (ImportError, LookupError, AttributeError) as error:
        raise SettingsError(f"this Letta has not got what they stand on: {error}") from None
    if importlib.util.find_spec("httpx") is None:
        raise SettingsError("the package httpx, which comes with Letta 0.16.8, is not installed")
    return found


def add_routes(app: FastAPI, letta: LettaSide, gateway: Gateway) -> None:
    """Add the routes at the end of the application's, all or none of them.

    Raises:
        SettingsError: it has such a route already (a fork's own, say).
    """
    from letta_emitter.routes.router import make_router  # noqa: PLC0415 (only in a server)

    if any(getattr(route, "path", None) == WHERE for route in app.router.routes):
        raise SettingsError(f"it has {WHERE} of its own")
    before = len(app.router.routes)
    document = app.openapi_schema
    try:
        router = make_router(letta, gateway)
        for prefix in _PREFIXES:
            app.include_router(router, prefix=prefix, include_in_schema=prefix == _PREFIXES[0])
        if (
            document
        ):  # Letta makes it while it starts, and keeps it; else it is made with these when it is asked for
            app.openapi_schema = _with_routes(app, document, app.router.routes[before:])
    except BaseException:
        del app.router.routes[before:]
        app.openapi_schema = document
        raise


def _with_routes(app: FastAPI, document: dict[str, Any], routes: list[Any]) -> dict[str, Any]:
    from fastapi.openapi.utils import get_openapi  # noqa: PLC0415 (only in a server)

    own = get_openapi(title=app.title, version=app.version, routes=routes)
    components = document.get("components", {})
    schemas = {**own.get("components", {}).get("schemas", {}), **components.get("schemas", {})}
    return {
        **document,
        "paths": {**document.get("paths", {}), **own["paths"]},
        "components": {**components, "schemas": schemas},
    }
