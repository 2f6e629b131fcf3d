"""Where a finding stands in the document as it was posted.

A comparison goes through what a value is made of, with references followed and branches opened; whoever posted the
document looks for the place in its text. Pure, and bounded by the size of the document.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from contracts.document import SCHEMA_LISTS, SCHEMA_MAPS, parts_of, resolve

Place = tuple[str | int, ...]
_At = tuple[Place, Any]

_BRANCHING: Final = ("anyOf", "oneOf")
_ELSE: Final[Mapping[str | int, str]] = {"properties": "additionalProperties", "prefixItems": "items"}
"""What speaks about a member or an item that is not declared by itself."""

_WHAT_IT_IS: Final = frozenset(
    {"type", "enum", "const", "properties", "items", "prefixItems", "$ref", "allOf"}
)
_SAYS_NOTHING: Final = frozenset(
    {"$ref", "$schema", "$defs", "definitions", "title", "description", "$comment", "examples", "default"}
)


def posted_place(root: Mapping[str, Any], place: Place, branches: Sequence[int]) -> Place:
    """Return the place in the text of a document.

    Args:
        root: The document.
        place: The place as a comparison has it: members and items and keywords, without what leads to them.
        branches: The schemas, by `id`, that were chosen where the document branches.

    Returns:
        The place of what is there; for a keyword that is not there, the place where it would be.
    """
    chosen = frozenset(branches)
    at: list[_At] = [((), root)]
    left = place
    while left:
        step = left[: _length(left)]
        reached = list(_all_alternatives(at, root, chosen))
        following = [found for one in reached if (found := _below(one, step)) is not None]
        if not following and step[0] in _ELSE and len(left) > len(step):
            following = [found for one in reached if (found := _below(one, (_ELSE[step[0]],))) is not None]
        if not following:
            return (*_where_it_would_be(at, reached, root, chosen, step), *left)
        within = [found for found in following if _is_within(found[0], reached, chosen)]
        at, left = within or following, left[len(step) :]
    in_branch = [place for place, schema in _all_alternatives(at, root, chosen) if id(schema) in chosen]
    return in_branch[-1] if in_branch else at[0][0]


def _length(left: Place) -> int:
    return 2 if left[0] in SCHEMA_MAPS or left[0] in SCHEMA_LISTS else 1


def _below(at: _At, step: Place) -> _At | None:
    found = at[1]
    for part in step:
        index = isinstance(found, list) and isinstance(part, int) and part < len(found)
        if not index and not (isinstance(found, Mapping) and part in found):
            return None
        found = found[part]
    return (*at[0], *step), found


def _alternatives(at: _At, root: Mapping[str, Any], chosen: frozenset[int], seen: set[int]) -> Iterator[_At]:
    """All schemas that speak about the same value and were not seen; of branches, the chosen ones, if there are any."""
    waiting = [at]
    while waiting:
        place, schema = waiting.pop()
        if not isinstance(schema, Mapping) or id(schema) in seen:
            continue
        seen.add(id(schema))
        yield place, schema
        following: list[_At] = []
        if "$ref" in schema:
            following.append((tuple(parts_of(schema["$ref"])), resolve(root, schema["$ref"])))
        following += [((*place, "allOf", index), part) for index, part in enumerate(schema.get("allOf", ()))]
        for keyword in _BRANCHING:
            cases = [((*place, keyword, index), case) for index, case in enumerate(schema.get(keyword, ()))]
            following += [case for case in cases if id(case[1]) in chosen] or cases
        waiting += reversed(following)


def _all_alternatives(at: Sequence[_At], root: Mapping[str, Any], chosen: frozenset[int]) -> Iterator[_At]:
    seen = set[int]()  # of all of them together: what several lead to would double at each step
    return (found for one in at for found in _alternatives(one, root, chosen, seen))


def _is_within(place: Place, reached: Sequence[_At], chosen: frozenset[int]) -> bool:
    return any(id(schema) in chosen and place[: len(at)] == at for at, schema in reached)


def _where_it_would_be(
    at: Sequence[_At], reached: Sequence[_At], root: Mapping[str, Any], chosen: frozenset[int], step: Place
) -> Place:
    """Beside its like, such as other members; else where something is said of what the value is."""
    if len(step) > 1:
        like = [one for one in reached if step[0] in one[1]]
        if like:
            return next((place for place, _ in like if _is_within(place, reached, chosen)), like[0][0])
    return _home(at, root, chosen)


def _home(at: Sequence[_At], root: Mapping[str, Any], chosen: frozenset[int]) -> Place:
    """The chosen branch, where it says what the value is; else what is behind a reference that is all there is."""
    picked = [
        place
        for place, schema in _all_alternatives(at, root, chosen)
        if id(schema) in chosen and not schema.keys().isdisjoint(_WHAT_IT_IS)
    ]
    if picked:
        return picked[-1]
    place, schema = at[0]
    seen = set[int]()
    while isinstance(schema, Mapping) and "$ref" in schema and schema.keys() <= _SAYS_NOTHING:
        if id(schema) in seen:
            break
        seen.add(id(schema))
        place, schema = tuple(parts_of(schema["$ref"])), resolve(root, schema["$ref"])
    return place
