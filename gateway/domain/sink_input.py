"""Reading where a subscription goes: sink, protocol, headers of the subscriber's own, credential.

CloudEvents Subscriptions API, sections 3.2.1 to 3.2.3; CONFORMANCE 32 and 36; S10b for a sink that is fetched
from. No problem repeats a secret.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.domain.config_input import AVAILABLE
from gateway.domain.credentials import (
    TOKEN_CHARS_MAX,
    AccessToken,
    ClientCredentials,
    Credential,
    is_bearer_token,
)
from gateway.domain.members import Members, listed
from gateway.domain.subscription import PULL_SINK, WITHHELD, Config
from schemas import Problem
from schemas.errors import pointer_of
from schemas.rfc3339 import is_timestamp

SINK_CHARS_MAX: Final = 2048
HEADERS_MAX: Final = 32
HEADER_NAME_CHARS_MAX: Final = 128
HEADER_CHARS_MAX: Final = 4096
CLIENT_ID_CHARS_MAX: Final = 1024
SCOPE_CHARS_MAX: Final = 2048

RESERVED_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "date",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    }
)
RESERVED_HEADER_PREFIXES: Final = ("ce-", "content-", "proxy-", "webhook-", "x-letta-")

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ \t!-~]*[!-~])?")
_VISIBLE: Final = re.compile(r"[ -~]+")
_CREDENTIAL_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "ACCESSTOKEN": ("accesstoken", "accesstokenexpiresutc", "accesstokentype"),
    "OAUTH2CLIENTCREDENTIALS": ("tokenurl", "clientid", "clientsecret", "scope", "audience"),
}
_POSTING: Final = (
    "format",
    "batch_events_max",
    "batch_bytes_max",
    "batch_age_s",
    "signing",
    "max_concurrency",
    "max_per_second",
    "timeout_s",
    "retry",
    "handshake",
)
"""The members of `config` that a stream which is only read has no use for; order and payload it has."""

_NOT_POSTED: Final = f"says how events are posted, and with the sink `{PULL_SINK}` none are; leave it out"
_ELSEWHERE: Final = "is the gateway's own; it cannot be set here"


def parse_sink(members: Members) -> str | None:
    """The sink as text; whether it may be connected to is for the egress guard to say."""
    if members.get("sink") is None:
        members.fault(
            "sink", f"must be given: the URL that events are posted to, 1 to {SINK_CHARS_MAX} characters"
        )
        return None
    sink = members.text("sink", SINK_CHARS_MAX)
    if sink is None or not sink.lower().startswith(PULL_SINK):
        return sink
    if len(sink) > len(PULL_SINK):
        members.fault("sink", f"a pull-only subscription has the sink `{PULL_SINK}`, and nothing behind it")
    return PULL_SINK


def check_pull_only(members: Members, problems: list[Problem], config: Config) -> None:
    """Refuse what says how an event is posted, where none ever is (S10b).

    A member at its default says nothing, so that what a view shows can be handed back.
    """
    default = Config()
    problems += [
        Problem(members.at("config") + pointer_of(name), _NOT_POSTED)
        for name in _POSTING
        if getattr(config, name) != getattr(default, name)
    ]
    for name in ("sinkcredential", "protocolsettings"):
        if members.get(name) is not None:
            members.fault(name, _NOT_POSTED)


def parse_protocol(members: Members) -> str:
    """The protocol; HTTP, unless something else is asked for and available."""
    value = members.get("protocol")
    if value is not None and not (isinstance(value, str) and value in AVAILABLE["protocol"]):
        members.fault("protocol", f"unknown protocol; must be {listed(sorted(AVAILABLE['protocol']))}")
    return "HTTP"


def parse_headers(
    members: Members, problems: list[Problem], previous: Mapping[str, str] | None = None
) -> Mapping[str, str]:
    """The headers in `protocolsettings` (section 3.2.2.1 of the standard), none of them reserved.

    In a revision, a value as a view shows it is the one that was there (``previous``).
    """
    value = members.get("protocolsettings")
    if value is None:
        return MappingProxyType({})
    settings = Members(value, members.at("protocolsettings"), problems, allowed=("headers", "method"))
    if settings.get("method") not in (None, "POST"):
        settings.fault("method", "must be `POST`")
    given = settings.get("headers")
    if given is None:
        return MappingProxyType({})
    if not isinstance(given, dict) or len(given) > HEADERS_MAX:
        settings.fault("headers", f"must be an object of at most {HEADERS_MAX} names and values")
        return MappingProxyType({})
    inside = Members(given, settings.at("headers"), problems, allowed=given)
    seen: set[str] = set()
    for name, text in given.items():
        fault = _header_fault(name, text)
        if fault is None and name.lower() in seen:
            fault = "is there twice; names of headers have no case"
        if fault is None and text == WITHHELD and previous is not None and name not in previous:
            fault = f"must be given: `{WITHHELD}` stands for a value that was there, and there was none"
        seen.add(name.lower())
        if fault is not None:
            inside.fault(name, fault)
    headers = {name: text for name, text in given.items() if isinstance(text, str)}
    kept = {name: (previous or {}).get(name, text) for name, text in headers.items() if text == WITHHELD}
    return MappingProxyType(headers | kept)


def _header_fault(name: str, value: object) -> str | None:
    """What is wrong with a subscriber's own header (RFC 9110, section 5); never repeats its value."""
    # As CGI and WSGI receivers read it, to whom an underscore is a hyphen.
    lower = name.lower().replace("_", "-")
    if len(name) > HEADER_NAME_CHARS_MAX or not _HEADER_NAME.fullmatch(name):
        return f"the name of a header is a token of 1 to {HEADER_NAME_CHARS_MAX} characters"
    if lower == "authorization":
        return f"{_ELSEWHERE}: give a `sinkcredential`"
    if lower in RESERVED_HEADERS or lower.startswith(RESERVED_HEADER_PREFIXES):
        return _ELSEWHERE
    if not isinstance(value, str) or len(value) > HEADER_CHARS_MAX or not _HEADER_VALUE.fullmatch(value):
        return f"must be a string of 1 to {HEADER_CHARS_MAX} printable ASCII characters, no space at its ends"
    return None


def parse_credential(members: Members, problems: list[Problem]) -> Credential | None:
    """The `sinkcredential` (section 3.2.3 of the standard; client credentials are this gateway's own)."""
    value = members.get("sinkcredential")
    if value is None:
        return None
    # The standard has spelled these names with and without capitals.
    lower = {name.lower(): item for name, item in value.items()} if isinstance(value, dict) else value
    kind = lower.get("credentialtype") if isinstance(lower, dict) else None
    own = _CREDENTIAL_MEMBERS.get(kind if isinstance(kind, str) else "", ())
    credential = Members(
        lower,
        members.at("sinkcredential"),
        problems,
        allowed=("credentialtype", *own),
        # Of a type that nobody knows, what goes with it is not worth a word.
        ignored=() if own or not isinstance(lower, dict) else lower,
    )
    match kind:
        case "ACCESSTOKEN":
            return _access_token(credential)
        case "OAUTH2CLIENTCREDENTIALS":
            return _client_credentials(credential)
        case _:
            known = listed(sorted(AVAILABLE["sinkcredential"]))
            credential.fault("credentialtype", f"unknown type of credential; must be {known}")
            return None


def _client_credentials(credential: Members) -> ClientCredentials:
    return ClientCredentials(
        token_url=_given(credential, "tokenurl", SINK_CHARS_MAX, "the URL of the token endpoint"),
        client_id=_given(credential, "clientid", CLIENT_ID_CHARS_MAX, "the client's id"),
        client_secret=_given(
            credential,
            "clientsecret",
            TOKEN_CHARS_MAX,
            "the client's secret; it is write-only, so a replacement gives it again and a patch may leave it out",
        ),
        scope=credential.text("scope", SCOPE_CHARS_MAX),
        audience=credential.text("audience", SCOPE_CHARS_MAX),
    )


def _given(credential: Members, name: str, chars_max: int, what: str) -> str:
    value = credential.get(name)
    if isinstance(value, str) and len(value) <= chars_max and _VISIBLE.fullmatch(value):
        return value
    credential.fault(name, f"must be a string of 1 to {chars_max} printable ASCII characters: {what}")
    return ""


def _access_token(credential: Members) -> AccessToken | None:
    token = credential.get("accesstoken")
    if not isinstance(token, str) or not is_bearer_token(token):
        credential.fault(
            "accesstoken",
            f"must be a bearer token (RFC 6750) of 1 to {TOKEN_CHARS_MAX} characters; it is write-only, so a "
            "replacement gives it again and a patch may leave it out",
        )
        token = ""
    kind = credential.get("accesstokentype")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "bearer"):
        credential.fault("accesstokentype", "must be `bearer`")
    expires = credential.get("accesstokenexpiresutc")
    if expires is not None and not (isinstance(expires, str) and is_timestamp(expires)):
        credential.fault("accesstokenexpiresutc", "must be an RFC 3339 time")
        expires = None
    return AccessToken(token, expires if isinstance(expires, str) else None)
