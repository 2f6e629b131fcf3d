"""A JSON Schema as a TypeScript type, for contracts that came without one: those that were registered at run time.

Whatever the schema accepts, the type accepts; and it says as much of the schema as a type can. What has no form as a
type (lengths, ranges, patterns, `not`, `if`, `contains`) leaves it as wide as it would be without. Nothing is refused:
the word for "anything" is `unknown`.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from contracts.document import resolve
from contracts.json_values import kind_of, kinds_of
from contracts.titles import type_name

Schema: TypeAlias = Mapping[str, Any] | bool
Types: TypeAlias = list[str]
"""The members of a union, none of them a union itself."""

_ANY: Final[Types] = ["unknown"]
_SCALARS: Final = {
    "null": "null",
    "boolean": "boolean",
    "integer": "number",
    "number": "number",
    "string": "string",
}
_OBJECT: Final = ("properties", "required", "additionalProperties", "patternProperties")
_ARRAY: Final = ("items", "prefixItems")
_BRANCHES: Final = ("anyOf", "oneOf")
_MADE_OF_MORE: Final = frozenset({*_OBJECT, *_ARRAY, *_BRANCHES, "allOf", "enum", "const", "description"})
"""Keywords of a schema whose type may be long."""

_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_INDENT: Final = "  "


def declaration(schema: Mapping[str, Any], name: str) -> str:
    """Return the declaration of a type of this name, and behind it those of the types that it refers to.

    Args:
        schema: A contract's, as `contracts.document` takes it: each reference leads somewhere, and none to itself.
        name: A type's name without an underscore. All others that are declared begin with it and an underscore, so
            they meet no name of another declaration.
    """
    return _Declarations(schema, name).text()


class _Declarations:
    """The types of one schema: its own, and one for each place that something refers to."""

    def __init__(self, root: Mapping[str, Any], name: str) -> None:
        self._root = root
        self._name = name
        self._names: dict[str, str] = {"#": name}
        self._taken = {name}
        self._waiting: list[tuple[str, Schema]] = [(name, root)]

    def text(self) -> str:
        texts = []
        while self._waiting:
            name, schema = self._waiting.pop(0)
            texts.append(f"{_comment(schema, '')}export type {name} = {_joined(self._types(schema, ''))};\n")
        return "\n".join(texts)

    def _types(self, schema: Schema, indent: str) -> Types:
        if isinstance(schema, bool):
            return _ANY if schema else []
        all_of = [self._plain(schema, indent)]
        if "$ref" in schema:
            all_of.append([self._reference(schema["$ref"])])
        for keyword in _BRANCHES:
            if keyword in schema:
                branches = (self._types(branch, indent) for branch in schema[keyword])
                all_of.append(_union(branches))
        all_of += (self._types(branch, indent) for branch in schema.get("allOf", ()))
        return _intersection(all_of)

    def _plain(self, schema: Mapping[str, Any], indent: str) -> Types:
        """What the keywords say that neither branch nor refer."""
        declared = schema.get("type")
        types = [declared] if isinstance(declared, str) else declared
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return _union(
                [_literal(value)] for value in values if types is None or kind_of(value) in kinds_of(types)
            )
        if types is None:
            if not any(keyword in schema for keyword in (*_OBJECT, *_ARRAY)):
                return _ANY
            types = [*_SCALARS, "array", "object"]
        return _union(self._of_type(one, schema, indent) for one in types)

    def _of_type(self, one: str, schema: Mapping[str, Any], indent: str) -> Types:
        if one == "object":
            return [self._object(schema, indent)]
        if one == "array":
            return [self._array(schema, indent)]
        return [_SCALARS[one]]

    def _array(self, schema: Mapping[str, Any], indent: str) -> str:
        rest = self._types(schema.get("items", True), indent)
        first = [self._types(item, indent) for item in schema.get("prefixItems", ())]
        if not first:
            return f"Array<{_joined(rest)}>"
        # Labels, and no `Array<T>` behind the dots: else a type that is in itself here would have to be known at once.
        there = schema.get("minItems", 0)
        members = [
            f"item{number}{'' if number <= there else '?'}: {_joined(types)}"
            for number, types in enumerate(first, 1)
        ]
        if rest and schema.get("maxItems", math.inf) > len(first):
            members.append(f"...more: ({_joined(rest)})[]")
        return f"[{', '.join(members)}]"

    def _object(self, schema: Mapping[str, Any], indent: str) -> str:
        inner = indent + _INDENT
        properties: Mapping[str, Schema] = schema.get("properties", {})
        required: Sequence[str] = schema.get("required", ())
        patterns: Mapping[str, Schema] = schema.get("patternProperties", {})
        others = _union(
            self._types(one, inner) for one in (*patterns.values(), schema.get("additionalProperties", True))
        )
        narrow = others not in ([], _ANY)
        lines, together = [], [others]
        for name, member in properties.items():
            types = self._named(name, member) if narrow else self._types(member, inner)
            together.append(types)
            mark = "" if name in required else "?"
            lines.append(f"{_comment(member, inner)}{inner}{_key(name)}{mark}: {_joined(types)};\n")
        lines += [
            f"{inner}{_key(name)}: {_joined(others)};\n"
            for name in dict.fromkeys(required)
            if name not in properties
        ]
        if others:
            # An index holds for the named members as well, whatever their own types are.
            optional = narrow and any(name not in required for name in properties)
            of_all = [*_union(together), *(["undefined"] if optional else [])]
            lines.append(f"{inner}[k: string]: {_joined(of_all)};\n")
        return "{\n" + "".join(lines) + indent + "}" if lines else "{ [k: string]: never }"

    def _named(self, name: str, schema: Schema) -> Types:
        """A member's type where it is written twice: by a name of its own, or it would double at each depth."""
        if isinstance(schema, bool) or not _MADE_OF_MORE & schema.keys():
            return self._types(schema, "")
        made = self._free(name)
        self._waiting.append((made, schema))
        return [made]

    def _reference(self, reference: str) -> str:
        """The name of what is referred to: what refers to itself, by a member or an item, is a type that does."""
        name = self._names.get(reference)
        if name is None:
            name = self._names[reference] = self._free(reference.rpartition("/")[2])
            found: Any = resolve(self._root, reference)
            self._waiting.append((name, found))
        return name

    def _free(self, wanted: str) -> str:
        word = f"{self._name}_{type_name(wanted)}"
        name, number = word, 2
        while name in self._taken:
            name, number = f"{word}_{number}", number + 1
        self._taken.add(name)
        return name


def _union(each: Iterable[Types]) -> Types:
    found = dict.fromkeys(one for types in each for one in types)
    return _ANY if _ANY[0] in found else list(found)


def _intersection(each: Iterable[Types]) -> Types:
    kept = [types for types in each if types != _ANY]
    if len(kept) <= 1:
        return kept[0] if kept else _ANY
    if [] in kept:
        return []
    written = (types[0] if len(types) == 1 else f"({' | '.join(types)})" for types in kept)
    return [" & ".join(dict.fromkeys(written))]


def _joined(types: Types) -> str:
    return " | ".join(types) or "never"


def _literal(value: object) -> str:
    """The type that has one value."""
    if isinstance(value, dict):
        members = (f"{_key(name)}: {_literal(member)}" for name, member in value.items())
        return f"{{ {'; '.join(members)} }}" if value else "{ [k: string]: never }"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name)


def _comment(schema: Schema, indent: str) -> str:
    """What a schema says of itself, as the comment in front of it."""
    if isinstance(schema, bool):
        return ""
    said = schema.get("description") or schema.get("title") or ""
    words = [" ".join(str(said).split())] if said else []
    if schema.get("deprecated") is True:
        words.append("@deprecated")
    text = " ".join(words).replace("*/", "* /")
    return f"{indent}/** {text} */\n" if text else ""
