"""The rules for context attributes (CloudEvents core 1.0.2, "Context Attributes" and "Type System")."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, cast

from schemas import media_type, uri
from schemas.errors import Problem, pointer_of
from schemas.rfc3339 import is_timestamp
from schemas.strict_json import shown

AttributeValue = str | int | bool

SPEC_VERSION: Final = "1.0"
REQUIRED: Final = ("specversion", "id", "source", "type")
NAME_LENGTH_MAX: Final = 20
"""What the standard recommends; kept in what is made here, not asked of what is received."""

_NAME = re.compile(r"[a-z0-9]+")
_INTEGER_MIN, _INTEGER_MAX = -(2**31), 2**31 - 1

# Control characters, lone surrogates, noncharacters: core, "String".
_FORBIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)


def forbidden_character(value: str) -> str | None:
    """Return the first character that no attribute may contain, as `U+XXXX`, or None."""
    if value.isascii() and value.isprintable():
        return None
    match = _FORBIDDEN.search(value)
    return f"U+{ord(match[0]):04X}" if match else None


def _string(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be a string, not {_kind(value)}"
    if not value:
        return "must not be empty"
    bad = forbidden_character(value)
    return (
        f"contains {bad}; control characters, noncharacters and lone surrogates are not allowed"
        if bad
        else None
    )


def _specversion(value: object) -> str | None:
    if value == SPEC_VERSION:
        return None
    return _string(value) or f"must be {SPEC_VERSION!r}, the version spoken here, not {shown(value)}"


def _source(value: object) -> str | None:
    problem = _string(value)
    if problem is None and not uri.is_reference(value):  # type: ignore[arg-type]
        problem = f"must be a URI-reference (RFC 3986), not {shown(value)}; percent-encode other characters"
    return problem


def _dataschema(value: object) -> str | None:
    problem = _string(value)
    if problem is None and not uri.is_absolute(value):  # type: ignore[arg-type]
        problem = f"must be an absolute URI without a fragment (RFC 3986 section 4.3), not {shown(value)}"
    return problem


def _datacontenttype(value: object) -> str | None:
    problem = _string(value)
    if problem is None and media_type.parse(value) is None:  # type: ignore[arg-type]
        problem = f"must be a media type such as application/json, not {shown(value)}"
    return problem


def _time(value: object) -> str | None:
    problem = _string(value)
    if problem is None and not is_timestamp(value):  # type: ignore[arg-type]
        problem = f"must be a time with offset such as 2026-01-01T12:00:00Z (RFC 3339), not {shown(value)}"
    return problem


def _extension(value: object) -> str | None:
    if isinstance(value, str):
        bad = forbidden_character(value)
        return (
            f"contains {bad}; control characters, noncharacters and lone surrogates are not allowed"
            if bad
            else None
        )
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        if _INTEGER_MIN <= value <= _INTEGER_MAX:
            return None
        return "is outside the 32-bit integers; send it as a string"
    return f"must be a string, an integer or a boolean, not {_kind(value)}"


_RULES: Final[Mapping[str, Callable[[object], str | None]]] = {
    "specversion": _specversion,
    "id": _string,
    "source": _source,
    "type": _string,
    "subject": _string,
    "time": _time,
    "dataschema": _dataschema,
    "datacontenttype": _datacontenttype,
}


# Spares the names that come with every event a match against the rule for names.
_USUAL_EXTENSIONS: Final = frozenset(
    {"traceparent", "tracestate", "partitionkey", "correlationid", "causationid", "sequence"}
)

USUAL_NAMES: Final = frozenset({*_USUAL_EXTENSIONS, *_RULES})


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int):
        return "an integer"
    if isinstance(value, float):
        return "a number with a fraction or exponent"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else type(value).__name__


def problems_of(attributes: Mapping[str, object]) -> list[Problem]:
    """Check every attribute; None (JSON null) counts as absent and is not looked at.

    Returns:
        All problems, the missing attributes first; empty for a sound event.
    """
    return [] if _plainly_sound(attributes) else _each_problem(attributes)


def _plainly_sound(attributes: Mapping[str, object]) -> bool:
    """Whether this is sound and as nearly every event is: usual names, values of printable ASCII.

    It asks all at once what `_each_problem` asks one by one; where that is not enough, it says no.
    """
    if not attributes.keys() <= USUAL_NAMES:
        return False
    try:
        together = "".join(attributes.values())  # type: ignore[arg-type]  # anything but a string ends up below
    except TypeError:
        return False
    return (
        together.isascii()
        and together.isprintable()
        and keep_their_rules(cast("Mapping[str, str]", attributes))
    )


def keep_their_rules(attributes: Mapping[str, str]) -> bool:
    """Whether each attribute is what its own rule asks. Names and values are usual ones, in printable ASCII."""
    try:
        if attributes["specversion"] != SPEC_VERSION or not (attributes["id"] and attributes["type"]):
            return False
        source, subject = attributes["source"], attributes.get("subject", "absent")
        if not (source and subject and uri.is_reference(source)):
            return False
    except KeyError:  # a required one is missing
        return False
    time, declared, schema = (
        attributes.get("time"),
        attributes.get("datacontenttype"),
        attributes.get("dataschema"),
    )
    return (
        (time is None or is_timestamp(time))
        # Nearly always JSON: without another call.
        and (declared is None or declared == "application/json" or media_type.parse(declared) is not None)
        and (schema is None or uri.is_absolute(schema))
    )


def _each_problem(attributes: Mapping[str, object]) -> list[Problem]:
    problems = [
        Problem(pointer_of(name), "is missing; CloudEvents requires it")
        for name in REQUIRED
        if attributes.get(name) is None
    ]
    for name, value in attributes.items():
        if value is None:
            continue
        rule = _RULES.get(name)
        if rule is None:
            if name not in _USUAL_EXTENSIONS and (_NAME.fullmatch(name) is None or name == "data"):
                problems.append(
                    Problem(pointer_of(name), "is not an attribute name: only a-z and 0-9, and not `data`")
                )
                continue
            if type(value) is str and value.isascii() and value.isprintable():
                continue
            rule = _extension
        detail = rule(value)
        if detail is not None:
            problems.append(Problem(pointer_of(name), detail))
    return problems


def overlong_names(names: Iterable[str]) -> list[Problem]:
    """Return a problem for each name longer than the standard recommends."""
    return [
        Problem(pointer_of(name), f"has a name longer than {NAME_LENGTH_MAX} characters")
        for name in names
        if len(name) > NAME_LENGTH_MAX
    ]


def canonical(value: AttributeValue) -> str:
    """Write a value in its canonical string form (core, "Type System")."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
