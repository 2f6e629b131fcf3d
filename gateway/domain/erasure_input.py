"""An erasure as it is asked for over the API: parsed, with everything that is wrong with it, pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.erasure import ID_CHARS_MAX, Scope, Target
from schemas import Problem

_SCOPES: Final = {"agent_id": Scope.AGENT, "organization_id": Scope.ORGANIZATION}
_MEMBERS: Final = frozenset({*_SCOPES, "dry_run"})


@dataclass(frozen=True, slots=True)
class AskedErasure:
    """What is to be erased, or only to be counted."""

    target: Target
    dry_run: bool


def parse_erasure(value: Any) -> tuple[AskedErasure | None, Sequence[Problem]]:  # noqa: ANN401 - a JSON value
    """Read a request; None with every problem where it is none."""
    if not isinstance(value, dict):
        return None, [Problem("", "must be a JSON object with agent_id or organization_id")]
    problems = [Problem(f"/{name}", "is not known here") for name in value if name not in _MEMBERS]
    named = [name for name in _SCOPES if name in value]
    if len(named) != 1:
        problems.append(Problem("", "must name either agent_id or organization_id"))
    problems += [Problem(f"/{name}", _ID) for name in named if not _is_id(value[name])]
    dry_run = value.get("dry_run", False)
    if not isinstance(dry_run, bool):
        problems.append(Problem("/dry_run", "must be true or false"))
    if problems:
        return None, problems
    [name] = named
    return AskedErasure(Target(_SCOPES[name], value[name]), dry_run), ()


_ID: Final = f"must be a text of 1 to {ID_CHARS_MAX} characters without control characters"


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= ID_CHARS_MAX and not any(map(_is_control, value))


def _is_control(char: str) -> bool:
    return ord(char) < ord(" ") or ord(char) == 0x7F  # noqa: PLR2004 - DEL
