"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-06): one creation however often it is asked for; pure.

The header is a Structured Field, an Item that is a String (RFC 8941, section 3.3.3): `"8e03978e-40d5-43dd"`. Most
clients send it without the quotes; that is the same key.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from gateway.domain.api_tokens import Principal

KEPT_US: Final = 24 * 3_600 * 1_000_000
"""How long an answer is remembered."""

KEY_CHARS_MAX: Final = 255
_QUOTED: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~:/=@-]+")
_WHAT: Final = (
    f'must be one text of 1 to {KEY_CHARS_MAX} printable ASCII characters, such as "8e03978e-40d5-43dd"'
)


class MalformedKey(ValueError):
    """The header is no key; says what one is."""


def parse_key(values: Sequence[str]) -> str | None:
    """The key that the header's lines give; None where there is none. Raises MalformedKey."""
    if not values:
        return None
    if len(values) > 1:
        raise MalformedKey("must be given once")
    text = values[0].strip(" \t")
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    elif _BARE.fullmatch(text):
        key = text
    else:
        raise MalformedKey(_WHAT)
    if not 0 < len(key) <= KEY_CHARS_MAX:
        raise MalformedKey(_WHAT)
    return key


def remembered_as(caller: Principal, operation: str, key: str) -> bytes:
    """What a key is kept as: a hash of whose it is, what it was for, and the key itself.

    It belongs to one token, so that nobody is ever answered with what another was shown.
    """
    whose = "first" if caller.token_id is None else f"token:{caller.token_id}"
    parts = [part.encode() for part in (whose, operation, key)]
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def fingerprint(body: Any) -> str:  # noqa: ANN401 - a JSON value
    """What two requests have in common that ask for the same: the JSON value, however it was spelled.

    It may be made of a password, so it is stored as what it was made of is: sealed.
    """
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
