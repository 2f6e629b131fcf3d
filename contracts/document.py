"""A JSON Schema as somebody posts it: whether it can be a contract, told with everything that is wrong at once.

More is refused than the standard refuses: what the rules of compatibility cannot judge, what names another
document, and what nobody reads, such as a keyword that is spelled wrong. Pure, bounded, and without a library, so
that whatever comes in can be walked safely before anything else looks at it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from contracts.json_values import TYPE_NAMES, finite, key_of
from contracts.patterns import too_slow
from schemas.errors import Problem, pointer_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMAS_MAX: Final = 4_000
"""Schemas within one document, itself included."""
ENUM_MAX: Final = 1_000
PROBLEMS_MAX: Final = 100

ONE_SCHEMA: Final = frozenset(
    {"items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else"}
    | {"unevaluatedItems", "unevaluatedProperties", "contentSchema"}
)
SCHEMA_LISTS: Final = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
SCHEMA_MAPS: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)
SAME_VALUE: Final = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
"""Keywords whose schemas are about the value itself, not about a part of it."""

_PLACED: Final = frozenset({"$schema", "$id"})
_ELSEWHERE: Final = {
    "$anchor": "use a JSON Pointer below $defs",
    "$dynamicAnchor": "use a plain $ref",
    "$dynamicRef": "use a plain $ref",
    "$recursiveRef": "use a plain $ref",
    "$recursiveAnchor": "use a plain $ref",
    "$vocabulary": "contracts keep to the standard's own vocabularies",
    "dependencies": "use dependentRequired or dependentSchemas",
    "additionalItems": "use items, with prefixItems beside it",
}

Document = dict[str, Any]
_Check = Callable[[object], str | None]


class NoContractError(ValueError):
    """The document cannot be a contract; `problems` has every reason found, with pointers into it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, problems)))


def document_of(posted: object) -> Document:
    """Return a posted schema as it is kept: with the dialect, and without `$id`, which its place decides.

    Raises:
        NoContractError: It cannot be a contract.
    """
    if not isinstance(posted, dict):
        raise NoContractError([Problem("", "must be a JSON object that holds a JSON Schema")])
    walk = _Walk({name: value for name, value in posted.items() if name != "$id"})
    if not walk.problems:
        walk.check_references()
    if walk.problems:
        raise NoContractError(walk.problems[:PROBLEMS_MAX])
    return {"$schema": DIALECT} | {name: value for name, value in posted.items() if name not in _PLACED}


def resolve(document: Mapping[str, Any], reference: str) -> object:
    """Return what a local `$ref` names.

    Raises:
        KeyError: There is nothing at that place.
    """
    found: object = document
    for part in parts_of(reference):
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isascii() and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise KeyError(reference)
    return found


def inner_schemas(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Give the schemas right within one, with their places below it."""
    for name, value in schema.items():
        if name in ONE_SCHEMA:
            yield (name,), value
        elif name in SCHEMA_LISTS and isinstance(value, list):
            yield from (((name, index), inner) for index, inner in enumerate(value))
        elif name in SCHEMA_MAPS and isinstance(value, dict):
            yield from (((name, key), inner) for key, inner in value.items())


def patterns_in(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Give the regular expressions of a schema, those of the schemas within it left out, with their places."""
    if isinstance(schema.get("pattern"), str):
        yield ("pattern",), schema["pattern"]
    if isinstance(schema.get("patternProperties"), dict):
        yield from ((("patternProperties", pattern), pattern) for pattern in schema["patternProperties"])


def _longest(schema: Mapping[str, Any]) -> int | None:
    said = schema.get("maxLength")
    return said if _count(said) is None else None


def parts_of(reference: str) -> list[str]:
    """Return the names on the way to what a local `$ref` names."""
    path = unquote(reference.removeprefix("#"))
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


class _Walk:
    """One walk over a document; it stops where there is too much."""

    def __init__(self, document: Document) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._schemas: dict[int, dict[str, Any]] = {}
        self._places: dict[int, tuple[str | int, ...]] = {}
        self._count = 0
        self._walk(document)

    def _walk(self, document: Document) -> None:
        waiting: list[tuple[tuple[str | int, ...], object]] = [((), document)]
        while waiting:
            place, schema = waiting.pop()
            self._count += 1
            if self._count > SCHEMAS_MAX:
                self._say((), f"has more than {SCHEMAS_MAX} schemas in it")
                return
            if isinstance(schema, bool):
                continue
            if not isinstance(schema, dict):
                self._say(place, "must be a schema: an object, true or false")
                continue
            self._schemas[id(schema)] = schema
            self._places[id(schema)] = place
            self._keywords(place, schema)
            waiting += [((*place, *below), inner) for below, inner in inner_schemas(schema)]

    def _say(self, place: tuple[str | int, ...], detail: str) -> None:
        self.problems.append(Problem(pointer_of(*place), detail))

    def _keywords(self, place: tuple[str | int, ...], schema: dict[str, Any]) -> None:
        for name, value in schema.items():
            complaint = _complaint(name, value, root=not place)
            if complaint is not None:
                self._say((*place, name), complaint)
        for below, pattern in patterns_in(schema):
            complaint = too_slow(pattern, _longest(schema) if below == ("pattern",) else None)
            if complaint is not None:
                self._say((*place, *below), complaint)

    def check_references(self) -> None:
        """Every `$ref` names a schema of this document, and none comes back to itself without going into a part."""
        for known, schema in self._schemas.items():
            reference = schema.get("$ref")
            if reference is not None and self._target(reference) is None:
                self._say((*self._places[known], "$ref"), f"{reference} names no schema of this document")
        if not self.problems and self._turns_on_itself():
            self._say((), "has a $ref that leads back to itself without going into a property or an item")

    def _target(self, reference: str) -> object:
        try:
            found = resolve(self._document, reference)
        except KeyError:
            return None
        return found if isinstance(found, bool) or id(found) in self._schemas else None

    def _turns_on_itself(self) -> bool:
        done: set[int] = set()
        for start in self._schemas:
            path: set[int] = set()
            waiting = [(start, False)]
            while waiting:
                at, leaving = waiting.pop()
                if leaving:
                    path.discard(at)
                    done.add(at)
                elif at in path:
                    return True
                elif at not in done:
                    path.add(at)
                    waiting.append((at, True))
                    waiting += [(following, False) for following in self._same_value(self._schemas[at])]
        return False

    def _same_value(self, schema: dict[str, Any]) -> Iterator[int]:
        if "$ref" in schema:
            target = self._target(schema["$ref"])
            if isinstance(target, dict):
                yield id(target)
        for place, inner in inner_schemas(schema):
            if place[0] in SAME_VALUE and isinstance(inner, dict):
                yield id(inner)


def _complaint(name: str, value: object, *, root: bool) -> str | None:
    """What is wrong with one keyword; the schemas in it are walked by themselves."""
    if name in {"$schema", "$id"} and not root:
        return "may only stand at the root"
    check = _CHECKS.get(name)
    if check is not None:
        return check(value)
    if name in _ELSEWHERE:
        return f"is not taken here: {_ELSEWHERE[name]}"
    if name.startswith("x-"):
        return _value(value)
    return "is no keyword of JSON Schema 2020-12; one of your own begins with x-"


def _schema(_value: object) -> str | None:
    return None  # walked by itself


def _schemas(value: object) -> str | None:
    return None if isinstance(value, list) and value else "must be a list of one or more schemas"


def _named_schemas(value: object) -> str | None:
    return None if isinstance(value, dict) else "must be an object of schemas"


def _dialect(value: object) -> str | None:
    known = isinstance(value, str) and value.rstrip("#") == DIALECT
    return None if known else f"must be {DIALECT}; no other dialect is taken"


def _reference(value: object) -> str | None:
    if isinstance(value, str) and (value == "#" or value.startswith("#/")):
        return None
    return "must lead into this document, such as #/$defs/name: no other document is fetched"


def _type(value: object) -> str | None:
    names = value if isinstance(value, list) else [value]
    known = all(isinstance(name, str) and name in TYPE_NAMES for name in names)
    return None if names and known else f"must be one or more of {', '.join(sorted(TYPE_NAMES))}"


def _enum(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return "must be a list of one or more values"
    if len(value) > ENUM_MAX:
        return f"has {len(value)} values; at most {ENUM_MAX} are taken"
    if not finite(value):
        return "has a number that is none"
    return None if len({key_of(item) for item in value}) == len(value) else "has a value twice"


def _value(value: object) -> str | None:
    return None if finite(value) else "has a number that is none"


def _names(value: object) -> str | None:
    fine = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return None if fine and len(set(value)) == len(value) else "must be a list of different names"  # type: ignore[arg-type,call-overload]


def _named_names(value: object) -> str | None:
    fine = isinstance(value, dict) and all(_names(names) is None for names in value.values())
    return None if fine else "must be an object of lists of names"


def _number(value: object) -> str | None:
    fine = isinstance(value, int | float) and not isinstance(value, bool) and finite(value)
    return None if fine else "must be a number"


def _step(value: object) -> str | None:
    return None if _number(value) is None and value > 0 else "must be a number above 0"  # type: ignore[operator]


def _count(value: object) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if fine else "must be a whole number, 0 or more"


def _text(value: object) -> str | None:
    return None if isinstance(value, str) else "must be a text"


def _boolean(value: object) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _list(value: object) -> str | None:
    return _value(value) if isinstance(value, list) else "must be a list"


_CHECKS: Final[dict[str, _Check]] = {
    **dict.fromkeys(ONE_SCHEMA, _schema),
    **dict.fromkeys(SCHEMA_LISTS, _schemas),
    **dict.fromkeys(SCHEMA_MAPS, _named_schemas),
    "$schema": _dialect,
    "$ref": _reference,
    "type": _type,
    "enum": _enum,
    "const": _value,
    "required": _names,
    "dependentRequired": _named_names,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    "multipleOf": _step,
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties"), _count),
    **dict.fromkeys(("maxProperties", "minContains", "maxContains"), _count),
    **dict.fromkeys(("uniqueItems", "deprecated", "readOnly", "writeOnly"), _boolean),
    **dict.fromkeys(("pattern", "format", "title", "description", "$comment"), _text),
    **dict.fromkeys(("contentEncoding", "contentMediaType"), _text),
    "default": _value,
    "examples": _list,
}
