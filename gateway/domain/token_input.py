"""Reads what a token is asked for with, and finds everything that is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.domain.subscription import EVERY_ORGANIZATION
from gateway.domain.subscription_input import NAME_CHARS_MAX, ORGANIZATION_CHARS_MAX
from schemas import Problem
from schemas.attributes import forbidden_character

_MEMBERS: Final = frozenset({"name", "admin", "organization", "read_only", "expires_at"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_REACH: Final = "name the token's organization, or ask for an administrator's with \"admin\": true"


@dataclass(frozen=True, slots=True)
class AskedToken:
    """A token as it was asked for. ``organization`` None: an administrator's."""

    name: str | None
    organization: str | None
    read_only: bool
    expires_at_us: int | None


def parse_token(value: object, now_us: int) -> tuple[AskedToken | None, list[Problem]]:
    """The token that is asked for, or all that is wrong.

    An administrator's is asked for in so many words: who forgets the organization is not given every one.
    """
    if not isinstance(value, dict):
        return None, [Problem("", "must be a JSON object")]
    problems = [Problem(f"/{name}", "is no member of a token") for name in sorted(value.keys() - _MEMBERS)]
    name = _text(value, "name", NAME_CHARS_MAX, problems)
    organization = _text(value, "organization", ORGANIZATION_CHARS_MAX, problems)
    admin, read_only = _flag(value, "admin", problems), _flag(value, "read_only", problems)
    expires_at_us = _expiry(value.get("expires_at"), now_us, problems)
    if organization == EVERY_ORGANIZATION:
        problems.append(Problem("/organization", f"must be one organization; {_REACH}"))
    if admin and organization is not None:
        problems.append(Problem("/admin", "an administrator's token is bound to no organization"))
    if not admin and value.get("organization") is None:
        problems.append(Problem("/organization", f"must be given: {_REACH}"))
    if problems:
        return None, problems
    return AskedToken(name, organization, read_only, expires_at_us), []


def _text(value: Mapping[str, Any], member: str, chars_max: int, problems: list[Problem]) -> str | None:
    given = value.get(member)
    if given is None:
        return None
    if isinstance(given, str) and 0 < len(given) <= chars_max and forbidden_character(given) is None:
        return given
    problems.append(Problem(f"/{member}", f"must be 1 to {chars_max} characters without control characters"))
    return None


def _flag(value: Mapping[str, Any], member: str, problems: list[Problem]) -> bool:
    given = value.get(member, False)
    if isinstance(given, bool):
        return given
    problems.append(Problem(f"/{member}", "must be true or false"))
    return False


def _expiry(given: object, now_us: int, problems: list[Problem]) -> int | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        example = "an RFC 3339 time with its offset, such as 2027-01-01T00:00:00Z"
        problems.append(Problem("/expires_at", f"must be {example}"))
        return None
    at_us = (moment - _EPOCH) // timedelta(microseconds=1)
    if at_us <= now_us:
        problems.append(Problem("/expires_at", "must be ahead of now"))
    return at_us
