"""Who asks: the bearer token of a request (RFC 6750) as a principal."""

import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from gateway.api.services import services
from gateway.errors import Unauthenticated


@dataclass(frozen=True, slots=True)
class Principal:
    """What a token may do. ``organization`` None: an administrator, who sees every organization."""

    organization: str | None
    writes: bool

    @property
    def admin(self) -> bool:
        """Whether every organization is open to it."""
        return self.organization is None


def principal(request: Request) -> Principal:
    """The principal of a request. Raises ``Unauthenticated``."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("This request carries no bearer token.")
    # Compared as bytes: a str with other than ASCII characters would be an error instead of an inequality.
    if not hmac.compare_digest(token.strip().encode(), services(request).admin_token.encode()):
        raise Unauthenticated("This token is not known here.")
    return Principal(organization=None, writes=True)


Caller = Annotated[Principal, Depends(principal)]
