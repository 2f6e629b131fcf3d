"""What a value may be by one schema: the schema opened up into plain parts that all hold at once.

References are followed and `allOf` is opened, so that a rule can ask one thing of all parts together. Whatever
else narrows a value (`not`, `if`, a keyword that no rule knows) only makes the truth smaller than what is said here:
to leave it out can refuse too much, and never accept too much.
"""

import math
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from contracts.document import resolve
from contracts.json_values import FRACTION, KINDS, key_of, kind_of, kinds_of

Schema = bool | Mapping[str, Any]
Part = Mapping[str, Any]

EVERY_KIND: Final = frozenset(KINDS)
_LISTED_KINDS: Final[Mapping[str, list[Any]]] = {"null": [None], "boolean": [False, True]}
_BRANCHING: Final = ("anyOf", "oneOf")
_OPENED: Final = frozenset({"$ref", "allOf"})
MEMBERS: Final = "unevaluatedProperties"
ITEMS: Final = "unevaluatedItems"
_ON_ALL_BESIDE: Final = frozenset({MEMBERS, ITEMS})
"""Keywords that would say more than they do, if something beside them were taken away."""
_UNDECLARED: Final[tuple[Schema, ...]] = ()


def without(part: Part, keywords: Container[str]) -> Part:
    """A schema but for some keywords."""
    return {name: value for name, value in part.items() if name not in keywords}


def identity(part: Part) -> Hashable:
    """What a schema, or what is left of one, is recognised by, while the document that its keywords are of is alive."""
    return frozenset((name, id(value)) for name, value in part.items())


class Produced:
    """A conjunction of schemas of one document.

    Attributes:
        parts: Plain schemas, none of them with `$ref` or `allOf` left to open, so that a part stays what it is
            however often it is opened again.
        never: Whether no value fits, as far as one can see.
        opened: The schemas as they were before that, for what depends on all that stands beside it.
        whole: The schemas that it was made of.
        kinds: What a value may be, of `json_values.KINDS`.
        values: All that it may be, where these can be listed; else None.
    """

    __slots__ = ("kinds", "never", "opened", "parts", "root", "values", "whole")

    def __init__(self, root: Mapping[str, Any], schemas: Sequence[Schema]) -> None:
        self.root = root
        self.never = False
        self.whole = schemas
        self.opened: list[Part] = []
        self.parts: list[Part] = []
        self._open(schemas)
        self.kinds = EVERY_KIND
        for part in self.parts:
            if "type" in part:
                self.kinds &= kinds_of(part["type"])
            if "multipleOf" in part and Fraction(str(part["multipleOf"])).denominator == 1:
                self.kinds -= {FRACTION}
        self.values = self._listed()
        if self.values is not None:
            self.kinds &= frozenset(map(kind_of, self.values))
        if not self.kinds:
            self.never = True

    def key(self) -> Hashable:
        """What this conjunction is recognised by, while the documents are alive."""
        return frozenset(map(identity, self.parts))

    def branches(self) -> Iterator[list[Schema]] | None:
        """The cases that the first `anyOf` or `oneOf` makes of it; None where there is none."""
        for at, part in enumerate(self.parts):
            for keyword in _BRANCHING:
                if keyword in part:
                    rest = without(part, {keyword, *_ON_ALL_BESIDE})
                    others: list[Schema] = [*self.parts[:at], rest, *self.parts[at + 1 :]]
                    return ([*others, branch] for branch in part[keyword])
        return None

    def all_of(self, keyword: str) -> list[Any]:
        """The values of a keyword in all parts that have it."""
        return [part[keyword] for part in self.parts if keyword in part]

    def all_with(self, keyword: str) -> list[Part]:
        """The parts that have a keyword."""
        return [part for part in self.parts if keyword in part]

    def required(self) -> set[str]:
        """The members that are always there."""
        return {name for names in self.all_of("required") for name in names}

    def member(self, name: str) -> tuple[list[Schema], bool]:
        """The schemas of a member, and whether one of them is declared under its name."""
        schemas: list[Schema] = []
        declared = False
        for part in self.parts:
            properties = part.get("properties", {})
            if name in properties:
                schemas.append(properties[name])
                declared = True
            elif not part.get("patternProperties"):
                schemas.append(part.get("additionalProperties", True))
        return schemas, declared

    def items(self, index: int) -> list[Schema]:
        """The schemas of the item at an index; of a high one, of all behind the listed ones."""
        schemas: list[Schema] = []
        for part in self.parts:
            listed = part.get("prefixItems", _UNDECLARED)
            schemas.append(listed[index] if index < len(listed) else part.get("items", True))
        return schemas

    def listed_items(self) -> int:
        """Up to which index items differ."""
        return max((len(listed) for listed in self.all_of("prefixItems")), default=0)

    def lower(self) -> tuple[float, bool]:
        """The tightest lower limit of a number, and whether it is itself excluded."""
        limits = [(value, False) for value in self.all_of("minimum")]
        limits += [(value, True) for value in self.all_of("exclusiveMinimum")]
        return max(limits, default=(-math.inf, False))

    def upper(self) -> tuple[float, bool]:
        """The tightest upper limit, likewise."""
        limits = [(value, False) for value in self.all_of("maximum")]
        limits += [(value, True) for value in self.all_of("exclusiveMaximum")]
        return min(limits, key=lambda limit: (limit[0], not limit[1]), default=(math.inf, False))

    def _open(self, schemas: Sequence[Schema]) -> None:
        waiting, seen = list(reversed(schemas)), set[int]()
        while waiting:
            schema = waiting.pop()
            if schema is True or (not isinstance(schema, bool) and id(schema) in seen):
                continue
            if schema is False:
                self.never = True
                continue
            seen.add(id(schema))
            if "$ref" in schema:
                waiting.append(resolve(self.root, schema["$ref"]))  # type: ignore[arg-type]
            waiting += reversed(schema.get("allOf", []))
            self.opened.append(schema)
            # What was opened must not stay: a case of a branch would open it again, and be no case any more.
            plain = schema if schema.keys().isdisjoint(_OPENED) else without(schema, _OPENED | _ON_ALL_BESIDE)
            if plain:
                self.parts.append(plain)

    def _listed(self) -> list[Any] | None:
        lists = [*self.all_of("enum"), *([value] for value in self.all_of("const"))]
        if lists:
            first, *others = lists
            allowed = [set(map(key_of, values)) for values in others]
            return [
                value
                for value in first
                if kind_of(value) in self.kinds and all(key_of(value) in keys for keys in allowed)
            ]
        if self.kinds <= _LISTED_KINDS.keys():
            return [value for kind in sorted(self.kinds) for value in _LISTED_KINDS[kind]]
        return None
