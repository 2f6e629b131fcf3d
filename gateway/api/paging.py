"""Pages of a list: whether there is more, and where it goes on, in a cursor that no other list takes."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi.responses import JSONResponse

from gateway.domain.ids import decode_cursor, encode_cursor
from gateway.errors import InvalidCursor

T = TypeVar("T")


def keys_in(kind: str, cursor: str | None, *types: type[int] | type[str]) -> tuple[Any, ...] | None:
    """The keys, of these types, that a cursor of a list has; None: it begins.

    Raises:
        InvalidCursor: This list has not given it out.
    """
    if cursor is None:
        return None
    keys = decode_cursor(kind, cursor)
    if keys is None or tuple(type(key) for key in keys) != types:
        raise InvalidCursor("This cursor was not given out for this list.")
    return keys


def number_in(kind: str, cursor: str | None) -> int | None:
    """The same of a list whose cursors have one number."""
    keys = keys_in(kind, cursor, int)
    return None if keys is None else keys[0]


def page_of(
    kind: str,
    found: Sequence[T],
    limit: int,
    *,
    keys: Callable[[T], tuple[int | str, ...]],
    shown: Callable[[T], object],
) -> JSONResponse:
    """Answer with the first ``limit`` of what was found; that is one more where there is more.

    Args:
        kind: The list's, for its cursors.
        found: What was found.
        limit: How many the page has at most.
        keys: What the next page goes on behind.
        shown: An item as it is answered.
    """
    page = found[:limit]
    following = encode_cursor(kind, *keys(page[-1])) if len(found) > limit else None
    return JSONResponse({"items": [shown(item) for item in page], "next": following})
