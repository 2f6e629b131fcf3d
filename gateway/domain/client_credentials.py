"""Access tokens by OAuth 2.0 client credentials (RFC 6749, section 4.4): the request, and what its answer says. Pure.

What an endpoint says of a refusal is passed on to the subscriber, since nobody else can mend it; of what it was sent,
or gave, nothing is.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import quote_plus, urlencode

from gateway.domain.credentials import TOKEN_CHARS_MAX, ClientCredentials, is_bearer_token
from gateway.domain.sending import Answer, OutboundRequest, SendError, SendErrorKind
from schemas import EnvelopeError, strict_json

ANSWER_BYTES_MAX: Final = 32 * 1024
LIFETIME_S_DEFAULT: Final = 300.0
"""For an answer without `expires_in`: the RFC leaves open how long such a token lasts."""

LIFETIME_S_MAX: Final = 24 * 3600.0
MARGIN_S_MAX: Final = 60.0
MARGIN_SHARE: Final = 0.2
"""A token is replaced this share of its life before its end, at most a minute: clocks differ, attempts take time."""

_MASK: Final = "***"
_CODE_CHARS_MAX: Final = 64
_DESCRIPTION_CHARS_MAX: Final = 200
_SAID: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
_SUCCESS: Final = range(200, 300)
_SERVER_ERROR: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class Granted:
    """A token, and for how many seconds it is to be used."""

    token: str = field(repr=False)
    usable_s: float


def token_request(
    credential: ClientCredentials, *, timeout_s: float, privileged: bool, user_agent: str
) -> OutboundRequest:
    """What the token endpoint is asked with; the client's id and secret go in HTTP Basic (RFC 6749, section 2.3.1)."""
    asked = {"grant_type": "client_credentials", "scope": credential.scope, "audience": credential.audience}
    return OutboundRequest(
        url=credential.token_url,
        headers=[
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Accept", "application/json"),
            ("Authorization", f"Basic {_basic(credential)}"),
            ("User-Agent", user_agent),
        ],
        body=urlencode({name: value for name, value in asked.items() if value is not None}).encode("ascii"),
        timeout_s=timeout_s,
        privileged=privileged,
        capture_bytes=ANSWER_BYTES_MAX,
    )


def read_answer(answer: Answer, credential: ClientCredentials) -> Granted:
    """The token that an answer grants.

    Raises ``SendError``: ``TOKEN_REFUSED`` where the endpoint says no, ``TOKEN_UNAVAILABLE`` where it has trouble of
    its own, ``TOKEN_MALFORMED`` where it says neither.
    """
    members = _members(answer)
    if answer.status not in _SUCCESS:
        raise SendError(
            _kind_of(answer.status),
            f"the token endpoint answered {answer.status}{_said(members, credential)}",
        )
    if answer.truncated or members is None:
        raise _malformed("is no JSON object, or too large")
    token, kind = members.get("access_token"), members.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise _malformed("is of another type than a bearer token")
    if not isinstance(token, str) or not is_bearer_token(token):
        raise _malformed(
            f"has no `access_token` of 1 to {TOKEN_CHARS_MAX} characters that can be sent (RFC 6750)"
        )
    lifetime_s = _lifetime_s(members.get("expires_in"))
    return Granted(token, lifetime_s - min(MARGIN_S_MAX, MARGIN_SHARE * lifetime_s))


def unreachable(error: SendError) -> SendError:
    """The error for a token endpoint that gave no answer."""
    detail = error.detail.replace("the sink", "the token endpoint")
    return SendError(
        SendErrorKind.TOKEN_UNAVAILABLE,
        f"no answer from the token endpoint ({error.kind.value}): {detail}",
        timed_out=error.timed_out,
    )


def _basic(credential: ClientCredentials) -> str:
    pair = f"{quote_plus(credential.client_id)}:{quote_plus(credential.client_secret)}"
    return base64.b64encode(pair.encode("ascii")).decode("ascii")


def _members(answer: Answer) -> Mapping[str, object] | None:
    try:
        found = strict_json.decode(answer.body, "")
    except EnvelopeError:
        return None
    return found if isinstance(found, dict) else None


def _kind_of(status: int) -> SendErrorKind:
    if status in _SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return SendErrorKind.TOKEN_UNAVAILABLE
    return SendErrorKind.TOKEN_REFUSED


def _said(members: Mapping[str, object] | None, credential: ClientCredentials) -> str:
    """The error code and its description (RFC 6749, section 5.2), as far as they are what that section allows."""
    parts = []
    for name, chars_max in (("error", _CODE_CHARS_MAX), ("error_description", _DESCRIPTION_CHARS_MAX)):
        text = (members or {}).get(name)
        if isinstance(text, str) and _SAID.fullmatch(text):
            # Masked before it is cut: the half of a secret is one as well.
            parts.append(_masked(text, credential)[:chars_max])
    return "".join(f": {part}" for part in parts)


def _masked(text: str, credential: ClientCredentials) -> str:
    secret = credential.client_secret
    for known in sorted({secret, quote_plus(secret), _basic(credential)}, key=len, reverse=True):
        text = text.replace(known, _MASK)
    return text


def _lifetime_s(value: object) -> float:
    """Seconds, given as a number or, by some, as its digits."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return LIFETIME_S_DEFAULT
    # Compared before it is converted: a number of JSON can be longer than any float.
    return LIFETIME_S_MAX if value >= LIFETIME_S_MAX else max(float(value), 0.0)


def _malformed(what: str) -> SendError:
    return SendError(SendErrorKind.TOKEN_MALFORMED, f"the token endpoint's answer {what}")
