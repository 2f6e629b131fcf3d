"""What of an entity's parts is written into it: `?inline` of xRegistry 1.0-rc4."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.registry.errors import BadInline

ANY: Final = "*"
DOCUMENTS: Final = ("capabilities", "model", "modelsource")
"""Parts of the registry itself that `*` does not stand for."""

_PARTS: Final = {
    "registry": {"schemagroups": "group"} | dict.fromkeys(DOCUMENTS, ""),
    "group": {"schemas": "schema"},
    "schema": {"schema": "", "meta": "", "versions": "version"},
    "version": {"schema": ""},
}
"""What each kind of entity has that can be inlined, and of what kind that is."""


@dataclass(frozen=True, slots=True)
class Inline:
    """The parts that are asked for, as paths."""

    paths: tuple[tuple[str, ...], ...] = ()

    def has(self, name: str) -> bool:
        """Whether this part is to be written."""
        return any(
            path[0] == name or (path[0] == ANY and name not in DOCUMENTS) for path in self.paths if path
        )

    def below(self, name: str) -> "Inline":
        """What of that part's own parts is to be written."""
        inner = [path[1:] for path in self.paths if path[:1] == (name,) and len(path) > 1]
        inner += [path for path in self.paths if path == (ANY,)]
        return Inline(tuple(inner))


def parse_inline(values: Iterable[str], kind: str, subject: str) -> Inline:
    """Read the query's values; an empty one stands for everything. Raises ``BadInline``."""
    paths = []
    for value in values:
        for text in value.split(",") if value else [ANY]:
            path = tuple(text.strip().split("."))
            if not _known(path, kind):
                raise BadInline(subject, inline_path=text[:128])
            paths.append(path)
    return Inline(tuple(paths))


def _known(path: tuple[str, ...], kind: str) -> bool:
    name, rest = path[0], path[1:]
    if name == ANY:
        return not rest
    inner = _PARTS.get(kind, {}).get(name)
    return inner is not None and (not rest or (bool(inner) and _known(rest, inner)))
