"""Liveness, readiness, and the plain first page."""

import html

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse

from gateway.api.auth import Operator
from gateway.api.services import services
from gateway.registry.catalogue import PATH, Catalogue
from gateway.registry.entities import GROUPS
from otel.metrics_text import OPENMETRICS_TYPE, TEXT_TYPE, render, wants_openmetrics

router = APIRouter(tags=["service"])


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


@router.get("/", include_in_schema=False)
async def first_page(request: Request) -> HTMLResponse:
    """One plain page that leads on."""
    return HTMLResponse(_first_page(services(request).catalogue))


def _first_page(catalogue: Catalogue) -> str:
    places = {
        html.escape(name): html.escape(f"{PATH}{GROUPS}/{group}/schemas/{name}")
        for group in catalogue.groups()
        for name in catalogue.group(group) or ()
    }
    items = "".join(f'<li><a href="{place}">{name}</a></li>' for name, place in places.items())
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
<p>What each event promises, as JSON Schema, in the <a href="/registry">registry</a>:</p>
<ul>{contracts}</ul>
<h2>Documentation</h2>
<p><code>letta-gateway --help</code> lists the commands; the project's <code>README.md</code> and
<code>docs/</code> explain the rest.</p>
</body>
</html>
"""
