"""Conditions of a request on what is there (RFC 9110, 13): nobody's change is overwritten, nothing is sent twice."""

from collections.abc import Mapping

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from gateway.errors import PreconditionFailed
from gateway.ports import SubscriptionRecord
from gateway.views.subscriptions import changed_at, etag


def condition_of(request: Request, record: SubscriptionRecord) -> int | None:
    """What ``If-Match`` asks for (RFC 9110, 13.1.1): the present version, or any.

    Raises ``PreconditionFailed`` where it is another one, and where ``If-None-Match`` names the one that there is.
    """
    if names(request, etag(record)):
        raise PreconditionFailed(
            "It is there already, and If-None-Match asks that it is not.",
            hint="Send it without If-None-Match to change it.",
        )
    given = request.headers.getlist("if-match")
    if not given or any(one.strip() == "*" for one in given):
        return None
    moments = [changed_at(record.number, part) for part in ",".join(given).split(",")]
    if record.updated_at_us not in moments:
        raise PreconditionFailed("The subscription is not the version that If-Match names.")
    return record.updated_at_us


def names(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names this (RFC 9110, 13.1.2: compared weakly)."""
    said = ",".join(request.headers.getlist("if-none-match"))
    tags = {one.strip().removeprefix("W/") for one in said.split(",")}
    return "*" in tags or tag in tags


def shown(request: Request, record: SubscriptionRecord, body: Mapping[str, object]) -> Response:
    """The answer to a read of a subscription, as one of its views has it; 304 where the reader has it."""
    headers = {"ETag": etag(record)}
    if names(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return JSONResponse(body, headers=headers)
