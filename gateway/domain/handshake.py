"""The webhook handshake (CloudEvents HTTP Webhooks 1.0.2, section 4): whether a sink agrees to be sent anything. Pure.

The sink is asked with OPTIONS, and agrees by `WebHook-Allowed-Origin` in its answer (CONFORMANCE 29), or by calling
back with a token that only it was given (CONFORMANCE 31, S11e). A status says nothing: any web server answers OPTIONS.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from math import ceil
from typing import Any, Final, Self

from gateway.domain.sending import OutboundRequest

TOKEN_BYTES: Final = 32
CALLBACK_US: Final = 24 * 3600 * 1_000_000
"""How long a callback is open."""

RATE_MAX: Final = 10_000 * 60
"""The rate that is asked for where the subscription names none: as high as any subscription may go, a minute."""

_SERVER_ERROR: Final = range(500, 600)
_REDIRECT: Final = range(300, 400)
_RATE: Final = re.compile(r"[1-9][0-9]{0,8}")


class HandshakeState(StrEnum):
    """Where a handshake stands."""

    UNASKED = "unasked"
    """Nobody asked this sink yet; whoever needs its consent asks before the first delivery."""
    REQUESTED = "requested"
    """By a command: the owner of the stream is to ask."""
    ASKED = "asked"
    """It is being asked."""
    GRANTED = "granted"
    REFUSED = "refused"
    """It answered, and did not agree; its callback is open until it ends."""
    UNANSWERED = "unanswered"
    """It could not be asked; that is tried again."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether the sink agrees, and how that came.

    Attributes:
        state: Where the handshake stands.
        at_us: Since when.
        per_minute: The rate that was granted; None: without a limit.
        detail: For a person: what the sink said.
        callback: The SHA-256 of the token of the callback that is open, hexadecimal; None: none is.
        until_us: When that ends.
        tries: How often in a row the sink could not be asked.
        next_at_us: When it is asked again by itself; None: it is not.
    """

    state: HandshakeState = HandshakeState.UNASKED
    at_us: int = 0
    per_minute: int | None = None
    detail: str | None = None
    callback: str | None = None
    until_us: int | None = None
    tries: int = 0
    next_at_us: int | None = None

    @property
    def granted(self) -> bool:
        """Whether it may be sent to."""
        return self.state is HandshakeState.GRANTED

    @property
    def unasked(self) -> bool:
        """Whether nobody asked yet."""
        return self.state is HandshakeState.UNASKED

    def revised(self, now_us: int, *, sink_changed: bool) -> "Consent":
        """What is left of it after the subscription was changed: another sink is asked anew.

        An open callback is bound to the revision that it was made for, so it ends, and the sink is asked again.
        """
        if self.unasked:
            return self
        if sink_changed:
            return Consent(at_us=now_us)
        if self.callback is not None:
            return Consent(HandshakeState.REQUESTED, now_us)
        return self

    def to_json(self) -> dict[str, Any]:
        """As it is stored, and as facts carry it: nothing of it is secret."""
        members: dict[str, Any] = {
            "state": self.state.value,
            "at_us": self.at_us,
            "per_minute": self.per_minute,
            "detail": self.detail,
            "callback": self.callback,
            "until_us": self.until_us,
            "tries": self.tries or None,
            "next_at_us": self.next_at_us,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_json(cls, members: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote; of no members, that nobody asked."""
        return cls(
            state=HandshakeState(members.get("state", HandshakeState.UNASKED)),
            at_us=members.get("at_us", 0),
            per_minute=members.get("per_minute"),
            detail=members.get("detail"),
            callback=members.get("callback"),
            until_us=members.get("until_us"),
            tries=members.get("tries", 0),
            next_at_us=members.get("next_at_us"),
        )


UNASKED: Final = Consent()


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer to the question comes to.

    Attributes:
        state: ``GRANTED``, ``REFUSED`` or ``UNANSWERED``.
        per_minute: The rate that was granted; None: without a limit.
        detail: What was missing, for a person.
    """

    state: HandshakeState
    per_minute: int | None = None
    detail: str | None = None


def question(
    sink: str,
    *,
    origin: str,
    callback_url: str,
    per_second: float | None,
    timeout_s: float,
    privileged: bool,
    user_agent: str,
) -> OutboundRequest:
    """The validation request, to the exact sink (section 4.1).

    Nothing that the subscriber gave goes along, no header and no credential: this sink has not said yet that it is
    theirs.
    """
    rate = RATE_MAX if per_second is None else max(1, ceil(per_second * 60))
    return OutboundRequest(
        url=sink,
        headers=[
            ("User-Agent", user_agent),
            ("WebHook-Request-Origin", origin),
            ("WebHook-Request-Callback", callback_url),
            ("WebHook-Request-Rate", str(rate)),
        ],
        body=b"",
        timeout_s=timeout_s,
        privileged=privileged,
        method=b"OPTIONS",
    )


def read_answer(status: int, headers: Iterable[tuple[str, str]], origin: str) -> Said:
    """What the sink said (section 4.2): only `WebHook-Allowed-Origin` with our name, or `*`, is consent."""
    if status in _SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Said(HandshakeState.UNANSWERED, detail=f"the sink answered {status}")
    if status in _REDIRECT:
        return Said(
            HandshakeState.REFUSED, detail=f"the sink answered {status}, and redirects are not followed"
        )
    values: dict[str, list[str]] = {"webhook-allowed-origin": [], "webhook-allowed-rate": []}
    for name, value in headers:
        if (lower := name.lower()) in values:
            values[lower].append(value.strip(" \t"))
    allowed, rates = values.values()
    if not allowed:
        return Said(
            HandshakeState.REFUSED, detail=f"the sink answered {status} without WebHook-Allowed-Origin"
        )
    if len(allowed) > 1 or allowed[0].lower() not in {"*", origin.lower()}:
        detail = f"the sink answered with a WebHook-Allowed-Origin that is neither {origin} nor *"
        return Said(HandshakeState.REFUSED, detail=detail)
    try:
        return Said(HandshakeState.GRANTED, granted_rate(rates))
    except ValueError as error:
        return Said(HandshakeState.REFUSED, detail=f"the sink agreed, but {error}")


def granted_rate(values: Iterable[str]) -> int | None:
    """Requests a minute, of the values of `WebHook-Allowed-Rate`; None: without a limit. Raises ValueError."""
    given = [value.strip(" \t") for value in values]
    if not given or given == ["*"]:
        return None
    if len(given) > 1 or not _RATE.fullmatch(given[0]):
        raise ValueError("WebHook-Allowed-Rate is neither * nor a whole number of requests a minute")
    return int(given[0])
