"""Errors as ``application/problem+json`` (RFC 9457): one mapping for every route."""

import json
import logging
import math
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from gateway.api.auth import identified
from gateway.api.heads import CHANGING
from gateway.api.registry_problems import allowing, is_registry, linked, unserved
from gateway.errors import (
    FieldError,
    GatewayError,
    InvalidRequest,
    InvalidToken,
    MalformedEvent,
    NotFound,
    RequestError,
    Unauthenticated,
)
from gateway.registry.errors import ActionNotSupported

_LOGGER = logging.getLogger(__name__)
_BLANK = "about:blank"
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
GUARDED = "/v1/"
"""What every path begins with that wants a token."""


def problem_response(error: GatewayError) -> Response:
    """The answer for an error."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthenticated):
        # Who has given no token is told no error (RFC 6750, section 3.1).
        why = ', error="invalid_token"' if isinstance(error, InvalidToken) else ""
        headers["WWW-Authenticate"] = f'Bearer realm="letta-gateway"{why}'
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return _response(error.problem(), error.status, headers)


def add_handlers(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""
    app.add_exception_handler(GatewayError, _on_gateway_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_parameters)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_hang_up)
    app.add_exception_handler(Exception, _on_anything)


def _on_gateway_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        raise error
    if not isinstance(error, RequestError):
        _LOGGER.error("a request failed: %s", error)
    answer = problem_response(error)
    if isinstance(error, ActionNotSupported):
        answer.headers["Allow"] = (
            "GET, HEAD"  # of a path that a route takes and cannot serve, like a $details
        )
    return linked(request, answer)


def _on_invalid_parameters(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [
        FieldError("/".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), item["msg"])
        for item in error.errors()
    ]
    return problem_response(InvalidRequest("Some parameters of the request are not valid.", fields=fields))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if request.url.path.startswith(GUARDED):
        try:  # without a token nobody is told which paths and methods there are
            await identified(request)
        except GatewayError as refused:
            return problem_response(refused)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(_methods(request))
    if is_registry(request):
        answer = problem_response(unserved(request, error.status_code))
        return linked(request, allowing(answer, headers))
    if error.status_code == NotFound.status:
        return problem_response(NotFound("There is nothing at this path."))
    body = {"type": _BLANK, "title": error.detail, "status": error.status_code, "detail": error.detail}
    return _response({**body, "errors": []}, error.status_code, headers)


def _methods(request: Request) -> list[str]:
    """Everything that may be asked of the path: the framework names only what its first route of it takes."""
    scopes = [{**request.scope, "method": method} for method in _METHODS]
    found = {
        str(scope["method"])
        for scope in scopes
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    }
    head = {"HEAD"} if "GET" in found and not request.url.path.startswith(CHANGING) else set()
    return sorted(found | head)


def _on_hang_up(_request: Request, _error: Exception) -> Response:
    """The client went away in the middle of its body: nobody reads this, and nothing is wrong here."""
    return problem_response(MalformedEvent("The body ended before its end."))


def _on_anything(_request: Request, error: Exception) -> Response:
    # The text of an unforeseen error may hold anything; it goes to the log, not to the caller.
    _LOGGER.error("a request failed unexpectedly", exc_info=error)
    detail = "The gateway failed on this request."
    return problem_response(GatewayError(detail, hint="Its log has the details; please report it."))


def _response(body: Mapping[str, object], status: int, headers: Mapping[str, str]) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False).encode(),
        status,
        headers=dict(headers),
        media_type="application/problem+json",
    )
