"""Erasure (SEMANTICS S8b): what is to go, where a payload names it, and what the log says of it; pure.

No fact of an erasure says whose data went: an agent may be a person's, and a fact stays for ever. It names the
erasure by its id, which whoever commanded it has noted beside the request, and the positions that are empty now.
"""

import base64
import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import unquote

from gateway.domain import facts

NO_TRACE: Final = "0" * 32
"""The trace id that stands for none (W3C Trace Context, section 3.2.2.3): an attempt of an erased event has it."""

ID_CHARS_MAX: Final = 1_024


class Scope(StrEnum):
    """What an erasure is about."""

    AGENT = "agent"
    ORGANIZATION = "organization"


@dataclass(frozen=True, slots=True)
class Target:
    """All events of one agent, or of one organization."""

    scope: Scope
    id: str

    def owns_quarantined(self, organization: str | None, payload: bytes) -> bool:
        """Whether something in quarantine is to go with it.

        An organization's is known by its column, where the door came that far. All else is known by the name alone,
        wherever it stands: what could not be read has no members to be told apart.
        """
        if self.scope is Scope.ORGANIZATION and organization is not None:
            return organization == self.id
        return names(payload, self.id)


def names(payload: bytes, name: str) -> bool:
    """Whether the name stands in these bytes as a whole word: as it is, escaped as in JSON, or as in a URL."""
    if not name:
        return False
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")
    text = payload.decode("utf-8", "replace")
    return any(word.search(spelling) for spelling in _spellings(text))


def _spellings(text: str) -> Iterator[str]:
    yield text
    yield unquote(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    if isinstance(value, dict) and isinstance(encoded := value.get("data_base64"), str):
        with contextlib.suppress(ValueError):  # malformed, it was kept as it came
            yield from _spellings(base64.b64decode(encoded).decode("utf-8", "replace"))
    unescaped = "\n".join(_texts(value))
    yield unescaped
    yield unquote(unescaped)


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, as deep as it may be."""
    left = [value]
    while left:
        match left.pop():
            case str(text):
                yield text
            case list(items):
                left += items
            case dict(members):
                left += [*members.keys(), *members.values()]


def ranges(positions: Sequence[int]) -> list[list[int]]:
    """Ascending positions as ranges, both ends included: what a fact says of them, briefly."""
    found: list[list[int]] = []
    for position in positions:
        if found and found[-1][1] == position - 1:
            found[-1][1] = position
        else:
            found.append([position, position])
    return found


def positions_of(said: object) -> list[int] | None:
    """The positions that a fact's ranges name, ascending; None where these are no ranges that ``ranges`` made."""
    if not isinstance(said, list):
        return None
    found: list[int] = []
    for item in said:
        match item:
            case [int(first), int(last)] if (found[-1] if found else 0) < first <= last < first + ROWS_MAX:
                found += range(first, last + 1)
            case _:
                return None
    return found


ROWS_MAX: Final = 200
"""Events that one transaction erases, at most: appends wait for no more than that."""


def requested(erasure: str, scope: Scope, until_position: int) -> facts.Fact:
    """An erasure was commanded: of everything up to here, and of nothing that comes later."""
    data = {"erasure": erasure, "scope": scope.value, "until_position": until_position}
    return facts.Fact(facts.ERASURE_REQUESTED, erasure, "requested", data)


def erased(erasure: str, positions: Sequence[int], remains: bytes) -> facts.Fact:
    """These events are erased; ``remains`` is the hash of what is left of their rows (``chain.remains_hash``)."""
    data = {
        "erasure": erasure,
        "positions": ranges(positions),
        "count": len(positions),
        "remains": remains.hex(),
    }
    # A position is erased once, so the first one makes this happen once.
    return facts.Fact(facts.ERASED, erasure, str(positions[0]), data)


def finished(erasure: str, *, events: int, attempts: int, quarantined: int) -> facts.Fact:
    """It is done, and this is how much there was."""
    data = {"erasure": erasure, "events": events, "attempts": attempts, "quarantined": quarantined}
    return facts.Fact(facts.ERASURE_FINISHED, erasure, "finished", data)
