"""Liveness, readiness, the plain first page, and the contracts as documents."""

import html
from collections.abc import Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from gateway.api.auth import Operator
from gateway.api.services import services
from gateway.errors import NotFound
from otel.metrics_text import OPENMETRICS_TYPE, TEXT_TYPE, render, wants_openmetrics
from schemas import TYPE_PREFIX

router = APIRouter(tags=["service"])

_SCHEMA_TYPE = "application/schema+json"
_GROUP = "/registry/schemagroups/com.letta/schemas"


@router.get("/healthz", summary="Whether the process serves")
async def healthz() -> JSONResponse:
    """Liveness: it answers, so it lives."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", summary="Whether it can do its work")
async def readyz(request: Request) -> JSONResponse:
    """Readiness: each thing the gateway needs, whether it is there, and how far routing is behind the log."""
    readiness = await services(request).readiness()
    ready = all(readiness.checks.values())
    body = {
        "status": "ready" if ready else "not ready",
        "checks": {name: "ok" if fine else "failing" for name, fine in readiness.checks.items()},
        "lag_events": readiness.lag_events,
    }
    return JSONResponse(body, status_code=200 if ready else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    dependencies=[Operator],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
async def metrics(request: Request) -> Response:
    """For who asks from this machine itself, and for administrators' tokens.

    As text, or with exemplars as OpenMetrics, where ``Accept`` would rather have that.
    """
    openmetrics = wants_openmetrics(request.headers.get("accept", ""))
    text = render(await services(request).metrics.families(), openmetrics=openmetrics)
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    return Response(text, media_type=OPENMETRICS_TYPE if openmetrics else TEXT_TYPE, headers=headers)


@router.get(_GROUP + "/{name}", summary="The latest version of a contract")
async def latest_contract(request: Request, name: str) -> Response:
    """The JSON Schema of an event type's payload."""
    versions = _versions(request, name)
    return _contract(request, name, versions[-1], immutable=False)


@router.get(_GROUP + "/{name}/versions/{version}", summary="One version of a contract")
async def contract(request: Request, name: str, version: str) -> Response:
    """A version never changes; its ``$id`` is the URL it is read from (CONFORMANCE 43)."""
    versions = _versions(request, name)
    if version not in {str(known) for known in versions}:
        raise NotFound(f"The contract of {name} has no version {version[:32]}.")
    return _contract(request, name, int(version), immutable=True)


@router.get("/", include_in_schema=False)
async def first_page(request: Request) -> HTMLResponse:
    """One plain page that leads on."""
    return HTMLResponse(_first_page(services(request).contracts.types()))


def _versions(request: Request, name: str) -> tuple[int, ...]:
    contracts = services(request).contracts
    type_ = TYPE_PREFIX + name
    if type_ not in contracts.types():
        raise NotFound(f"There is no contract named {name[:128]}.")
    return tuple(contracts.versions(type_))


def _contract(request: Request, name: str, version: int, *, immutable: bool) -> Response:
    service = services(request)
    body = service.contracts.schema_bytes(TYPE_PREFIX + name, version, service.public_url)
    etag = f'"{name}.{version}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "public, max-age=31536000, immutable" if immutable else "public, max-age=60",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=_SCHEMA_TYPE)


def _first_page(types: Sequence[str]) -> str:
    names = sorted(html.escape(item.removeprefix(TYPE_PREFIX)) for item in types)
    items = "".join(f'<li><a href="{_GROUP}/{name}">{name}</a></li>' for name in names)
    return _PAGE.replace("{contracts}", items)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>letta-gateway</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.6 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }
code { background: #8882; padding: .1em .35em; border-radius: .25em }
</style>
</head>
<body>
<h1>letta-gateway</h1>
<p>Every step, run, tool call and job of a Letta server, as a signed webhook.</p>
<h2>This gateway</h2>
<ul>
<li><a href="/openapi.json">API</a>: the OpenAPI document; <code>/v1</code> wants a bearer token</li>
<li><a href="/healthz">Liveness</a> and <a href="/readyz">readiness</a></li>
</ul>
<h2>Contracts</h2>
<p>What each event promises, as JSON Schema:</p>
<ul>{contracts}</ul>
<h2>Documentation</h2>
<p><code>letta-gateway --help</code> lists the commands; the project's <code>README.md</code> and
<code>docs/</code> explain the rest.</p>
</body>
</html>
"""
