"""Query parameters that a route does not know, or not so, are refused: a filter that is swallowed shows everything.

Nor is a misspelt `organization` to mean every one of them. Where the standard wants what is unknown to be ignored, as
the registry's does, and where others make the URL, as of a handshake, nobody asks here.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, get_args, get_origin
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request

from gateway.errors import FieldError, InvalidRequest

GUARDED: Final = "/v1/"
_READING: Final = frozenset({"GET", "HEAD"})
_NAME_CHARS_MAX: Final = 100
_FAULTS_MAX: Final = 100
_CURSOR: Final = "cursor"
"""An empty one is a cursor that no list gave out, and is told as such."""
_OF_LISTS: Final = {"limit": False, _CURSOR: False}
"""Every list may be asked with these (INTERFACE), also one that is always whole."""

_known: WeakKeyDictionary[Callable[..., Any], dict[str, bool]] = WeakKeyDictionary()
"""By what answers at a route: its parameters, and whether each may be repeated."""


def check_query(request: Request) -> None:
    """Refuse what a route under `/v1` would not look at, all of it at once. Raises ``InvalidRequest``.

    A parameter without a value is refused as well: most often it is a variable of a script that was not set.
    """
    query = request.scope["query_string"]
    route = request.scope.get("route")
    if not query or not isinstance(route, APIRoute) or not request.url.path.startswith(GUARDED):
        return
    known = _known.get(route.endpoint)
    if known is None:
        known = _known[route.endpoint] = _parameters(route.dependant)
    if request.method in _READING:
        known = _OF_LISTS | known
    faults = _faults(parse_qsl(query.decode("latin-1"), keep_blank_values=True), known)
    if faults:
        raise InvalidRequest("Some parameters of the request are not valid.", fields=faults)


def _faults(given: list[tuple[str, str]], known: dict[str, bool]) -> list[FieldError]:
    faults: list[FieldError] = []
    shown = ", ".join(f"`{one}`" for one in sorted(known)) or "none"
    for name, count in Counter(name for name, _ in given).items():
        if name not in known:
            faults.append(FieldError(name[:_NAME_CHARS_MAX], f"is not known here; known: {shown}"))
        elif count > 1 and not known[name]:
            faults.append(FieldError(name, "is given more than once, and only one value has a meaning"))
        elif name != _CURSOR and any(one == name and not value for one, value in given):
            faults.append(FieldError(name, "has no value: give one, or leave it out"))
    return faults[:_FAULTS_MAX]


def _parameters(of: Dependant) -> dict[str, bool]:
    """Its own, and those of all that it depends on."""
    found = {field.alias: _is_list(field.field_info.annotation) for field in of.query_params}
    for one in of.dependencies:
        found |= _parameters(one)
    return found


def _is_list(annotation: Any) -> bool:  # noqa: ANN401 - any type there is
    return get_origin(annotation) is list or any(_is_list(one) for one in get_args(annotation))
