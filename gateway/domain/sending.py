"""One POST to a sink: what is asked, what comes back, and the closed set of ways in which it fails.

Pure records. Nothing here, not even an error's text, ever holds the address that a name resolved to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

ATTEMPT_S_MAX = 15.0
"""The longest that one attempt may take, seconds, whatever is configured (S6a)."""


class SinkRule(StrEnum):
    """The rule of the egress guard that a sink broke."""

    MALFORMED = "malformed"
    SCHEME = "scheme"
    INSECURE = "insecure"
    USERINFO = "userinfo"
    FRAGMENT = "fragment"
    HOST = "host"
    PORT = "port"
    NOT_PUBLIC = "not_public"
    NEVER = "never"
    OWN = "own"


_SENTENCES = {
    SinkRule.MALFORMED: "it is not an absolute URL of printable characters without spaces or backslashes",
    SinkRule.SCHEME: "its scheme is neither https nor http",
    SinkRule.INSECURE: "this gateway posts to https only",
    SinkRule.USERINFO: "it holds a user name or password; give them as a credential or a header",
    SinkRule.FRAGMENT: "it has a fragment, which is never sent",
    SinkRule.HOST: "its host is neither a valid DNS name (ASCII or IDNA 2008) nor an IP address",
    SinkRule.PORT: "its port is not a number from 1 to 65535",
    SinkRule.NOT_PUBLIC: (
        "it is not on the public internet; an operator opens a private network to an administrator's "
        "subscriptions with GATEWAY_ALLOW_NETWORKS"
    ),
    SinkRule.NEVER: (
        "it is in a range that no setting opens (link-local, metadata service, multicast, unspecified)"
    ),
    SinkRule.OWN: "it is the gateway itself",
}


_OF_A_NAME = (
    "an address of its name is not one that this gateway may connect to; an operator opens a private network to an "
    "administrator's subscriptions with GATEWAY_ALLOW_NETWORKS"
)


class SinkRefused(Exception):
    """The egress guard refuses a sink. The text names the rule, never an address that a name resolved to.

    Args:
        rule: What it broke.
        looked_up: Its address came from DNS. The text then is the same whichever rule it was: told apart, they would
            say where the names of a network lead that whoever wrote the URL cannot see into.
    """

    def __init__(self, rule: SinkRule, *, looked_up: bool = False) -> None:
        self.rule = rule
        super().__init__(f"the sink is not allowed: {_OF_A_NAME if looked_up else _SENTENCES[rule]}")


class SendErrorKind(StrEnum):
    """The stage in which an attempt ended without a status.

    ``TIMEOUT`` is an answer that did not come in time; a name lookup, a connection or a TLS handshake that
    took too long is of its own stage, with ``SendError.timed_out`` set. ``TOKEN_…`` come before any of them:
    there was no access token to send along.
    """

    REFUSED = "refused"
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    CLOSED = "closed"
    TOO_LARGE = "too_large"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of an error
    TOKEN_UNAVAILABLE = "token_unavailable"  # noqa: S105 - likewise
    TOKEN_MALFORMED = "token_malformed"  # noqa: S105 - likewise


class SendError(Exception):
    """An attempt ended without a status.

    Attributes:
        kind: The stage that failed.
        detail: A sentence for a person; it holds no address and nothing of the request.
        rule: For ``REFUSED`` by the egress guard, which rule.
        timed_out: Whether the stage ended because time ran out.
    """

    def __init__(
        self, kind: SendErrorKind, detail: str, *, rule: SinkRule | None = None, timed_out: bool = False
    ) -> None:
        self.kind = kind
        self.detail = detail
        self.rule = rule
        self.timed_out = timed_out
        super().__init__(f"{kind.value}: {detail}")


@dataclass(slots=True)
class OutboundRequest:
    """One request. URL, headers and body may hold secrets, so none of them shows in its repr.

    A value, not frozen for the cost of it, like ``Answer``: there is one of each for every attempt.

    Attributes:
        url: The sink.
        headers: Names and printable ASCII values, or the same as ``HeaderLines``, which are encoded already;
            framing headers (``Host``, ``Content-Length``, …) are made by the sender.
        body: The bytes that were signed, sent unchanged.
        timeout_s: The whole attempt, seconds; at most 15 count (S6a).
        privileged: Whether an admin token made the subscription: only then do opened private networks count
            (S11b).
        method: Of the request: what is delivered is posted.
        capture_bytes: How much of the answer's body is kept; None: as much as an attempt keeps (S11g).
    """

    url: str = field(repr=False)
    headers: Iterable[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    timeout_s: float
    privileged: bool
    method: bytes = b"POST"
    capture_bytes: int | None = None


@dataclass(slots=True)
class Answer:
    """What the sink answered.

    Attributes:
        status: The final status code (never 1xx).
        headers: Names as received and values, decoded as Latin-1; bounded.
        body: The beginning of the body, content coding removed; bounded.
        truncated: Whether the body goes on behind ``body``, was cut, or could not be decoded.
        duration_s: From the call to the end of the answer, seconds.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool
    duration_s: float
