"""What a version of the OpenAPI document promises, line by line, and which of it another version breaks.

A promise is a line of text, so that a baseline of them can be read, compared and reviewed as a file. What a client
sends may become wider, what it gets may become narrower; the other way round is a break (CONFORMANCE 44 says the same
of contracts, for readers).

A line is `takes | what | where | how`, or `gives | …`: what a request may hold, what an answer holds. One that begins
with `!` is a restriction: a member that a request must have, or the kinds of value that an answer may have there.
Restrictions are broken by being added, all other lines by being taken away.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Mapping[str, Any]

_SHAPES: Final = "#/components/schemas/"
_RESTRICTION: Final = "!"
_BETWEEN: Final = " | "


def promises(document: Json) -> set[str]:
    """Every promise of a document."""
    found: set[str] = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found.update(_operation(document, f"{method.upper()} {path}", operation))
    for event, operations in document.get("webhooks", {}).items():
        for method, operation in operations.items():
            found.update(_webhook(document, f"{method.upper()} {event}", operation))
    return found | _shapes(document, found)


def breaks(before: set[str], after: set[str]) -> list[str]:
    """What a client that was made for `before` cannot rely on any more, a line each; empty where all of it holds."""
    gone = {line for line in before - after if not line.startswith(_RESTRICTION)}
    # An addition breaks only what was there: a new operation may ask for what it likes.
    added = {line for line in after - before if line.startswith(_RESTRICTION) and _was_there(line, before)}
    return sorted(f"removed: {line}" for line in gone) + sorted(
        f"added: {line.removeprefix(_RESTRICTION)}" for line in added
    )


def _was_there(line: str, before: set[str]) -> bool:
    """Whether what a restriction is about was promised before."""
    direction, label, pointer, _ = line.removeprefix(_RESTRICTION).split(_BETWEEN)
    if direction == "gives" and pointer != "/":
        return _line(direction, label, pointer) in before
    operation = " ".join(label.split(" ")[:2])
    return _line(direction, label) in before or _line("operation", operation) in before


def _line(*parts: str, restriction: bool = False) -> str:
    return (_RESTRICTION if restriction else "") + _BETWEEN.join(parts)


def _operation(document: Json, name: str, operation: Json) -> Iterator[str]:
    yield _line("operation", name)
    for given in operation.get("parameters", ()):
        parameter = _resolved(document, given)
        about = f"{parameter['in']}:{parameter['name']}"
        yield _line("takes", name, about)
        if parameter.get("required"):
            yield _line("takes", name, about, "required", restriction=True)
    body = operation.get("requestBody", {})
    if body.get("required"):
        yield _line("takes", name, "body", "required", restriction=True)
    for kind, media in body.get("content", {}).items():
        yield from _members("takes", f"{name} {kind}", media.get("schema", {}))
    for status, given in operation["responses"].items():
        if not status.startswith("2"):
            continue
        answer = _resolved(document, given)
        yield _line("gives", f"{name} {status}")
        for header in answer.get("headers", {}):
            yield _line("gives", f"{name} {status}", f"header:{header}")
        for kind, media in answer.get("content", {}).items():
            yield from _members("gives", f"{name} {status} {kind}", media.get("schema", {}))


def _webhook(document: Json, name: str, operation: Json) -> Iterator[str]:
    """To a sink the gateway is the client: what it sends is what a receiver gets."""
    yield _line("webhook", name)
    for given in operation["parameters"]:
        parameter = _resolved(document, given)
        yield _line("webhook", name, f"header:{parameter['name']}")
        if parameter.get("required"):
            yield _line("webhook", name, f"header:{parameter['name']}", "always")
    for kind in operation.get("requestBody", {}).get("content", {}):
        yield _line("webhook", name, kind)


def _shapes(document: Json, lines: set[str]) -> set[str]:
    """The promises of every named shape that the lines lead to, by the direction in which they do."""
    found: set[str] = set()
    waiting, seen = _named(lines), set[tuple[str, str]]()
    while waiting - seen:
        direction, name = min(waiting - seen)
        seen.add((direction, name))
        made = set(_members(direction, name, document["components"]["schemas"][name]))
        found |= made
        waiting |= _named(made)
    return found


def _named(lines: set[str]) -> set[tuple[str, str]]:
    split = (line.removeprefix(_RESTRICTION).split(_BETWEEN) for line in lines)
    return {(parts[0], parts[3].removeprefix("is ")) for parts in split if parts[-1].startswith("is ")}


def _members(direction: str, label: str, schema: Json, pointer: str = "") -> Iterator[str]:
    """Kinds and members of a value, down to where another shape is named."""
    if not pointer:
        yield _line(direction, label)
    for branch in _branches(schema):
        for kind in _kinds(branch):
            yield _line(direction, label, pointer or "/", kind, restriction=direction == "gives")
        required = branch.get("required", ())
        for member, inner in branch.get("properties", {}).items():
            place = f"{pointer}/{member}"
            if direction == "gives":
                yield _line(direction, label, place)
            if member in required:
                how = "always" if direction == "gives" else "required"
                yield _line(direction, label, place, how, restriction=direction == "takes")
            yield from _members(direction, label, inner, place)
        if "items" in branch:
            yield from _members(direction, label, branch["items"], f"{pointer}/*")


def _branches(schema: Json) -> Iterator[Json]:
    inner = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if not inner:
        yield schema
    for branch in inner:
        yield from _branches(branch)


def _kinds(schema: Json) -> Iterator[str]:
    """The types of a value; where it is one of a few, those; where it is a named shape, that."""
    if "$ref" in schema:
        yield "is " + schema["$ref"].removeprefix(_SHAPES)
    elif "const" in schema or "enum" in schema:
        yield from (f"={value}" for value in schema.get("enum", [schema.get("const")]))
    else:
        declared = schema.get("type", "any")
        kinds = [declared] if isinstance(declared, str) else declared
        # Whoever takes any number takes a whole one.
        yield from [*kinds, "integer"] if "number" in kinds else kinds


def _resolved(document: Json, schema: Json) -> Json:
    """What a reference to a parameter or an answer stands for."""
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema
