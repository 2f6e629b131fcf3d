"""A contract as the validator is given it: a slow pattern sees no text that is too long for it.

The validator looks for everything that is wrong, and so it runs a pattern on a text that `maxLength` has refused
already. A contract that was registered before slow patterns were refused may have no `maxLength` at all; a text on
which its pattern would hold up everybody is refused as too long. The names in `patternProperties` of such a contract
are left as they are: what is taken out there, other keywords would see.
"""

import copy
from collections.abc import Mapping
from typing import Any

from contracts.document import inner_schemas
from contracts.patterns import PatternError, chars_limit


def guarded(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema with each slow pattern behind a bound of the text; None where it has none."""
    found = False
    made = copy.deepcopy(dict(schema))
    waiting: list[Any] = [made]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            continue
        # Those within it first: what is added here has none that needs a guard.
        waiting += [inner for _, inner in inner_schemas(part)]
        limit = _limit(part.get("pattern"))
        if limit is None:
            continue
        found = True
        said = part.get("maxLength", limit)
        bound = {"maxLength": min(limit, said)}
        pattern = {"if": bound, "then": {"pattern": part.pop("pattern")}}
        refused = {} if said <= limit and "maxLength" in part else bound
        part["allOf"] = [*part.get("allOf", ()), refused | pattern]
    return made if found else None


def _limit(pattern: object) -> int | None:
    try:
        return chars_limit(pattern) if isinstance(pattern, str) else None
    except PatternError:
        return None  # the engine says what is wrong with it
