"""Who asks: the bearer token of a request (RFC 6750) as a principal, and what no principal of its kind may do.

What may only be read is decided here, by the method and for every route alike, so that none can forget it.
"""

import ipaddress
from typing import Annotated, Final

from fastapi import Depends, Request

from gateway.api.queries import check_query
from gateway.api.services import services
from gateway.domain.api_tokens import Principal
from gateway.errors import Forbidden, Unauthenticated

_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PASSED_ON: Final = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
    *("cf-connecting-ip", "true-client-ip"),
)
"""What proxies add: one of them is enough, and who wants to be sure gives a token."""


async def identified(request: Request) -> Principal:
    """Whose request it is.

    Raises ``Unauthenticated``; and ``Forbidden`` where its token only reads, and the request is to change something.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This request carries no bearer token.")
    found = await services(request).credentials.principal(token.strip())
    if not found.writes and request.method not in _READING:
        raise Forbidden("This token only reads.", hint="Use one that may change things.")
    return found


async def principal(request: Request) -> Principal:
    """The principal of a request to a route, whose query is one of it: every route of `/v1` asks who it is.

    Raises as ``identified`` does; and ``InvalidRequest``.
    """
    found = await identified(request)
    check_query(request)
    return found


Caller = Annotated[Principal, Depends(principal)]


def administrator(caller: Caller) -> Principal:
    """A principal to whom every organization is open. Raises ``Forbidden`` for any other."""
    if not caller.admin:
        raise Forbidden("This is for administrators' tokens alone.")
    return caller


Administrator = Annotated[Principal, Depends(administrator)]


async def operator(request: Request) -> None:
    """Let in who is on this machine, and administrators (S11f). Raises as ``administrator`` does.

    What a proxy has passed on came from elsewhere, although the proxy may be on this machine; and who shows a token
    is judged by that.
    """
    direct = not any(name in request.headers for name in (*_PASSED_ON, "authorization"))
    if direct and request.client is not None and _is_loopback(request.client.host):
        return
    administrator(await principal(request))


Operator = Depends(operator)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
