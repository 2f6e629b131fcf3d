"""What a route on Letta's API says where the gateway could not answer, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from dataclasses import dataclass

TYPE_BASE = "urn:letta-gateway:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the end of its type, its status and title, and what to do about it."""

    slug: str
    status: int
    title: str
    hint: str


UNREACHABLE = Kind(
    "gateway-unreachable",
    502,
    "The event gateway cannot be reached",
    "Try again by and by; whoever runs this Letta server finds out more with `letta-emitter doctor`.",
)
TIMEOUT = Kind(
    "gateway-timeout",
    504,
    "The event gateway does not answer in time",
    "It may have done what was asked: look before you repeat it.",
)
UNUSABLE = Kind(
    "gateway-unusable",
    502,
    "The event gateway's answer is of no use",
    "Whoever runs this Letta server finds out more with `letta-emitter doctor`.",
)
TOKEN_REFUSED = Kind(
    "gateway-token-refused",
    502,
    "The event gateway does not take this server's token",
    "Whoever runs this Letta server gives it another one: LETTA_EMITTER_GATEWAY_TOKEN.",
)
BUSY = Kind(
    "gateway-busy",
    503,
    "Too many requests to the event gateway at once",
    "Try again after the seconds of `Retry-After`.",
)
TOO_LARGE = Kind("too-large", 413, "The body is too large", "Send a smaller one.")
UNREADABLE = Kind("bad-request", 400, "The request is not valid", "Send its body whole.")

OWN = (UNREACHABLE, TIMEOUT, UNUSABLE, TOKEN_REFUSED, BUSY)
"""Those that the gateway's own API does not have."""


class RouteProblem(Exception):
    """A request ends with a problem; `detail` is a sentence without the gateway's address or token."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail

    def body(self) -> bytes:
        """Return the document."""
        document = {
            "type": TYPE_BASE + self.kind.slug,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": f"{self.detail} {self.kind.hint}",
            "errors": [],
        }
        return json.dumps(document).encode()
