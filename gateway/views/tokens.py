"""A token as the API shows it: never the token itself."""

from typing import Any

from gateway.domain.api_tokens import ApiToken
from gateway.domain.facts import rfc3339


def token_json(token: ApiToken, now_us: int) -> dict[str, Any]:
    """What is known of a token; `last_used_at` may be behind by a minute where another process was asked."""
    return {
        "id": token.id,
        "name": token.name,
        "admin": token.organization is None,
        "organization": token.organization,
        "read_only": token.read_only,
        "state": token.standing(now_us).value,
        "created_at": rfc3339(token.created_at_us),
        "expires_at": _time(token.expires_at_us),
        "last_used_at": _time(token.last_used_at_us),
    }


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else rfc3339(at_us)
