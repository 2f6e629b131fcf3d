"""The contracts in memory: one look into a dictionary for each event that comes in or goes out.

It only grows. What is put in here works from then on: at the door, on what is sent, and for who reads.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from contracts.compatibility import Compatibility, breaking_changes
from contracts.export import file_bytes
from contracts.validation import Compiled
from gateway.ports import Entry, StoredContract
from schemas import Envelope, Problem, without_dataschema

PATH: Final = "/registry"


class Contract:
    """One version of a contract.

    Attributes:
        stored: What is kept of it.
        url: Where it is served; the ``dataschema`` of its events.
        older: The versions before it.
    """

    def __init__(self, stored: StoredContract, place: str, older: Sequence["Contract"]) -> None:
        self.stored = stored
        self.url = f"{place}/versions/{stored.version}"
        self.older = tuple(older)

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema, without `$id`."""
        found: dict[str, Any] = json.loads(self.stored.document)
        return found

    @cached_property
    def compiled(self) -> Compiled:
        """The schema, ready to check data by; made when the first event needs it."""
        return Compiled(self.schema)

    @cached_property
    def compatible(self) -> bool:
        """Whether it keeps what its type's versions promise each other: those that were registered do."""
        return not (self.stored.shipped and self.older) or not self.breaking()

    def breaking(self) -> list[Any]:
        """What it breaks of the older versions."""
        older = {contract.stored.version: contract.schema for contract in self.older}
        return breaking_changes(self.schema, older, Compatibility(self.stored.compatibility))

    def body(self) -> bytes:
        """The bytes that are served."""
        return file_bytes(self.served)

    @property
    def served(self) -> dict[str, Any]:
        """The schema as served: its ``$id`` is its URL (CONFORMANCE 43)."""
        return {"$schema": self.schema["$schema"], "$id": self.url} | self.schema


class EventType:
    """A type with its versions, ascending. There is at least one."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.versions: list[Contract] = []

    @property
    def newest(self) -> Contract:
        """The newest version."""
        return self.versions[-1]

    @property
    def first(self) -> StoredContract:
        """What the first version has decided for all."""
        return self.versions[0].stored

    def version(self, number: str) -> Contract | None:
        """A version by its number as it stands in a URL."""
        if not (number.isascii() and number.isdigit()) or number.startswith("0") or len(number) > 9:  # noqa: PLR2004 - digits
            return None
        return self.versions[int(number) - 1] if int(number) <= len(self.versions) else None


class Catalogue:
    """All contracts of one gateway."""

    def __init__(self, public_url: str) -> None:
        self.root = public_url + PATH
        self._types: dict[str, EventType] = {}
        self._newest: dict[str, Contract] = {}
        self._groups: dict[str, dict[str, EventType]] = {}
        self._by_url: dict[str, Contract] = {}

    def put(self, stored: StoredContract) -> Contract:
        """Take a version in, and let it be the newest of its type; one that is here already stays as it is."""
        known = self._types.get(stored.type)
        if known is None:
            place = f"{self.root}/schemagroups/{stored.group}/schemas/{stored.name}"
            known = self._types[stored.type] = EventType(place)
            self._groups.setdefault(stored.group, {})[stored.name] = known
        if stored.version <= len(known.versions):
            return known.versions[stored.version - 1]
        contract = Contract(stored, known.place, known.versions)
        known.versions.append(contract)
        self._newest[stored.type] = contract
        self._by_url[contract.url] = contract
        return contract

    # For the door.

    def knows(self, type_: str) -> bool:
        """Whether the type has a contract."""
        return type_ in self._newest

    def validate(self, type_: str, data: object, dataschema: object = None) -> Sequence[Problem]:
        """Everything in the data that breaks its contract: the version that ``dataschema`` names, else the newest.

        A URL of this registry that is no version of the type's contract is a problem itself, also where the type has
        no contract: it goes out as it came, and whoever follows it must find what the event was judged by.

        A ``dataschema`` that is not of this registry says nothing about which version it is, and is never fetched
        (S11f).
        """
        newest = self._newest.get(type_)
        if newest is not None and (dataschema is None or dataschema == newest.url):
            return newest.compiled.problems(data)
        named = None if dataschema is None else self._by_url.get(str(dataschema))
        if named is not None and named.stored.type == type_:
            return named.compiled.problems(data)
        if named is not None:
            return [Problem("/dataschema", f"names the contract of another type, {named.stored.type}")]
        if dataschema is not None and self._is_here(str(dataschema)):
            return [Problem("/dataschema", self._unnamed(str(dataschema), type_))]
        return () if newest is None else newest.compiled.problems(data)

    def _is_here(self, url: str) -> bool:
        return url == self.root or url.startswith(f"{self.root}/")

    def _unnamed(self, url: str, type_: str) -> str:
        """What is wrong with a URL of this registry that is no version's."""
        known = self._types.get(type_)
        if known is None:
            return f"names a contract in this registry, where {type_} has none"
        if url == known.place:
            return f"names no version, so it would not say for good what was kept; name one, such as {known.newest.url}"
        return f"names no version of the contract of {type_} in this registry"

    # For what is sent.

    def as_sent(self, entry: Entry, envelope: Envelope) -> tuple[Envelope, str | None]:
        """An event as it goes out, and the ``dataschema`` that it gets where it has none.

        Every ``dataschema`` of this registry that goes out is kept by its event's data (CONFORMANCE 43). So what broke
        its contract gets none, and loses the one that its producer claims to keep; one of another place is no word of
        ours.
        """
        if entry.contract_broken:
            claimed = envelope.dataschema
            is_ours = claimed is not None and self._is_here(claimed)
            return without_dataschema(envelope) if is_ours else envelope, None
        newest = self._newest.get(entry.type)
        if newest is not None and entry.position > newest.stored.since:
            return envelope, newest.url  # nearly always, and asked for each attempt: without another call
        return envelope, self.dataschema_of(entry.type, entry.position)

    def dataschema_of(self, type_: str, position: int) -> str | None:
        """The URL of the version that was the newest where an event stands in the log; None before the first one.

        By what came later the event was never judged, and a replay must not say that it was.
        """
        newest = self._newest.get(type_)
        if newest is None:
            return None
        if position > newest.stored.since:
            return newest.url
        return next((older.url for older in reversed(newest.older) if position > older.stored.since), None)

    # For who reads.

    def types(self) -> list[str]:
        """The types that have a contract, sorted."""
        return sorted(self._types)

    def event_type(self, type_: str) -> EventType | None:
        """A type with its versions."""
        return self._types.get(type_)

    def groups(self) -> list[str]:
        """The ids of the groups, sorted."""
        return sorted(self._groups)

    def group(self, group: str) -> dict[str, EventType] | None:
        """The types of a group by the ids of their schemas, sorted."""
        found = self._groups.get(group)
        return None if found is None else dict(sorted(found.items()))

    def at(self, group: str, name: str) -> EventType | None:
        """The type whose contract stands at a place."""
        return self._groups.get(group, {}).get(name)

    def spelled_otherwise(self, group: str, name: str) -> str | None:
        """An id that is there and differs from one that is asked for in letter case alone, which none may."""
        for asked, there in ((group, self._groups.keys()), (name, self._groups.get(group, {}).keys())):
            same = [known for known in there if known.lower() == asked.lower()]
            if same and asked not in same:
                return same[0]
        return None

    def all(self) -> Iterator[StoredContract]:
        """Every version."""
        for known in self._types.values():
            yield from (contract.stored for contract in known.versions)
