"""What goes to the gateway, and what of its answer goes back: pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode

from letta_emitter.routes.problems import TOKEN_REFUSED, UNUSABLE, RouteProblem

BODY_BYTES_MAX: Final = 262_144
"""Of a request: the gateway's own bound for JSON."""
ANSWER_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of an answer, which is kept in memory."""

_SENT: Final = ("content-type", "if-match", "if-none-match")
"""Of the caller's headers those that say something of the body or of its condition; never who the caller is."""
_RETURNED: Final = ("content-type", "etag", "retry-after", "cache-control")
"""A `Location` would lead to the gateway, where the caller has no token; the rest is of that one connection."""
_JSON: Final = ("application/json", "application/problem+json")


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the gateway, but for its address and token. `target` is a path with its query."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = field(default=b"", repr=False)  # may hold a secret


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes to the caller."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)  # may hold a secret


def call(
    method: str,
    agent_id: str,
    organization: str,
    *,
    below: str = "",
    query: Mapping[str, object] | None = None,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> Call:
    """Make the request for an agent's webhook.

    Args:
        method: of HTTP.
        agent_id: whose webhook it is.
        organization: the agent's, as Letta knows it; the caller has no say in it. Empty: that of the token.
        below: the path below `…/webhook`, made of safe characters.
        query: parameters of the caller's; None is left out, a list is repeated.
        headers: all of the caller's, as ASGI has them (lower-case names).
        body: the caller's.
    """
    asked = dict(query or {})
    target = f"/v1/agents/{quote(agent_id, safe='')}/webhook{below}?"
    # A parameter of that name is none that the caller can give.
    asked["organization"] = organization or None
    target += urlencode({name: value for name, value in asked.items() if value is not None}, doseq=True)
    sent = tuple((name, value) for name, value in headers if name.decode("latin-1").lower() in _SENT)
    return Call(method, target, sent, body)


def answer(method: str, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Judge what came from the gateway's address, and keep what is for the caller.

    Raises:
        RouteProblem: it is no answer of a gateway, or it is about this server's token and not about the request.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if 300 <= status < 400 and status != 304:  # noqa: PLR2004 - HTTP's redirects
        raise RouteProblem(UNUSABLE, "What answers at the gateway's address sends elsewhere.")
    if "content-encoding" in headers or (body and kind not in _JSON):
        raise RouteProblem(UNUSABLE, "What answers at the gateway's address is no event gateway.")
    _judge_token(method, status, body)
    kept = {name: headers[name] for name in _RETURNED if name in headers}
    return Answer(status, kept, body)


def _judge_token(method: str, status: int, body: bytes) -> None:
    if status == 401:  # noqa: PLR2004 - Unauthorized; passed on, it would say that of the caller
        raise RouteProblem(TOKEN_REFUSED, "The gateway does not know it, or it has ended.")
    if status == 403 and _type(body).endswith(":forbidden"):  # noqa: PLR2004 - Forbidden
        raise RouteProblem(TOKEN_REFUSED, "It may only read.")
    if status == 404 and method == "PUT":  # noqa: PLR2004 - Not Found, where a PUT makes what is not there
        raise RouteProblem(TOKEN_REFUSED, "It is not for the organization of this agent.")


def _type(body: bytes) -> str:
    try:
        return str(json.loads(body)["type"])
    except (ValueError, KeyError, TypeError):
        return ""
