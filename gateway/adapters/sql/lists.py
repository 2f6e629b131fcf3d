"""Lists as parameters of a statement."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
_PART = 512


def parts(values: Sequence[T]) -> Iterator[list[T]]:
    """The values in lists for ``IN``: at most 512 each, the last one repeated until there are a power of two.

    Databases bound the number of parameters. And a list of each length is a statement of its own, which the
    server parses and plans anew: so there are ten of them, and each stays prepared.
    """
    for start in range(0, len(values), _PART):
        part = list(values[start : start + _PART])
        yield part + part[-1:] * ((1 << (len(part) - 1).bit_length()) - len(part))
