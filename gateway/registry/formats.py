"""Contracts in other words than JSON Schema: `?format=…` on a schema, a version, or a group's schemas.

A format is a function of contracts; to add one is to add it to ``FORMATS``. It sees neither requests nor stores.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from contracts import rendering


@dataclass(frozen=True, slots=True)
class Typed:
    """A contract to be rendered: its event type, its version, and the JSON Schema as served."""

    event_type: str
    version: int
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """How contracts are rendered.

    Attributes:
        media_type: Of what is rendered.
        render: Makes one text of one or more contracts. A schema may be anybody's who may register one, so what
            cannot be said in this format must become the format's word for "anything", never an error.
    """

    media_type: str
    render: Callable[[Sequence[Typed]], str]


def _rendered(format_name: str, contracts: Sequence[Typed]) -> str:
    """The texts that are committed with the package, alone or as one module with what has none."""
    if len(contracts) == 1:
        found = rendering.render(format_name, contracts[0].event_type, contracts[0].version)
        if found is not None:
            return found.text
    schemas = {(one.event_type, one.version): one.schema for one in contracts}
    return rendering.module_of(format_name, list(schemas), schemas)


FORMATS: Final[dict[str, Format]] = {
    name: Format(known.media_type, partial(_rendered, name)) for name, known in rendering.FORMATS.items()
}
"""By the name that `?format=` gives them."""
