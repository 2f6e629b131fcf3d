"""Whether two schemas say the same, word for word but for what is only told to people.

What is the same needs no rule, so an unchanged `not` or `if` may stay where it is. References are compared by what
they lead to: `#/$defs/x` of one document may be something else than that of another.
"""

from collections.abc import Mapping
from typing import Any, Final

from contracts.compatibility.budget import Budget, TooLargeError
from contracts.compatibility.produced import Schema
from contracts.document import ONE_SCHEMA, SCHEMA_LISTS, SCHEMA_MAPS, resolve
from contracts.json_values import key_of

TOLD: Final = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly"}
    | {"writeOnly", "contentEncoding", "contentMediaType", "contentSchema", "$defs", "definitions"}
)
"""Keywords that refuse no value."""

DEPTH_MAX: Final = 64

Root = Mapping[str, Any]


class Sameness:
    """Compares places of two documents."""

    def __init__(self, one: Root, other: Root, budget: Budget) -> None:
        self._one = one
        self._other = other
        self._budget = budget
        self._depth = 0
        self._known: dict[tuple[int, int], bool] = {}
        self._assumed: list[tuple[int, int]] = []
        self._alive: list[object] = []
        """What is known is known by identity, which lasts as long as the thing."""

    def schemas(self, one: Schema, other: Schema) -> bool:
        """Whether two schemas say the same. Raises ``TooLargeError``."""
        if isinstance(one, bool) or isinstance(other, bool):
            return one is other
        pair = (id(one), id(other))
        if pair in self._known:
            return self._known[pair]
        self._budget.spend()
        if self._depth > DEPTH_MAX:
            raise TooLargeError
        since = len(self._assumed)
        self._alive += (one, other)
        self._assumed.append(pair)
        self._known[pair] = True  # where it leads back here, nothing has differed yet
        self._depth += 1
        same = self._compare(one, other)
        self._depth -= 1
        if not same:
            # Whatever was the same as long as this was is not known to be so any more.
            for doubtful in self._assumed[since:]:
                del self._known[doubtful]
            del self._assumed[since:]
            self._known[pair] = False
        return same

    def keyword(self, keyword: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
        """Whether a keyword says the same in two schemas."""
        if keyword == "$ref":
            return self.schemas(_target(self._one, one), _target(self._other, other))
        if keyword in ONE_SCHEMA:
            return self.schemas(one, other)
        if keyword in SCHEMA_LISTS:
            return len(one) == len(other) and all(map(self.schemas, one, other))
        if keyword in SCHEMA_MAPS:
            return one.keys() == other.keys() and all(self.schemas(one[key], other[key]) for key in one)
        if keyword in {"type", "required"}:
            return _names(one) == _names(other)
        return key_of(one) == key_of(other)

    def _compare(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        said = {name for name in one if _refuses(name)}
        if said != {name for name in other if _refuses(name)}:
            return False
        return all(self.keyword(name, one[name], other[name]) for name in sorted(said))


def _refuses(keyword: str) -> bool:
    return keyword not in TOLD and not keyword.startswith("x-")


def _target(root: Root, reference: str) -> Schema:
    return resolve(root, reference)  # type: ignore[return-value]


def _names(said: str | list[str]) -> set[str]:
    return {said} if isinstance(said, str) else set(said)
