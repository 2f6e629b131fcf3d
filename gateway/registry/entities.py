"""The catalogue in the words of xRegistry 1.0-rc4: registry, groups, schemas, their meta entities, and versions.

An *epoch* counts the versions below an entity: nothing ever goes, so it only grows. In the document view (`?doc`)
nothing is said twice, and what is inlined is pointed to within the document.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.domain.facts import rfc3339
from gateway.ports import StoredContract
from gateway.registry.catalogue import Catalogue, Contract, EventType
from gateway.registry.errors import FORMAT
from gateway.registry.inlining import Inline
from gateway.registry.model import CAPABILITIES, MODEL, MODEL_SOURCE, SPECVERSION

Entity = dict[str, Any]
MEDIA_TYPE: Final = "application/schema+json"
REGISTRY_ID: Final = "letta-gateway"
DETAILS: Final = "$details"
GROUPS: Final = "/schemagroups"
_NO_TIME: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class View:
    """How entities are written.

    Attributes:
        root: The registry's URL.
        target: The path below it that the request is for; pointers of the document view begin there.
        doc: Whether it is the document view.
    """

    root: str
    target: str = ""
    doc: bool = False

    def url(self, xid: str, *, inlined: bool = False, details: bool = False) -> str:
        """Where an entity is: in this document, or at its URL."""
        if self.doc and inlined:
            return f"#{xid[len(self.target) :] or '/'}"
        return self.root + xid + (DETAILS if details else "")


def registry(catalogue: Catalogue, view: View, inline: Inline) -> Entity:
    """The registry itself."""
    every = list(catalogue.all())
    entity: Entity = {
        "specversion": SPECVERSION,
        "registryid": REGISTRY_ID,
        "self": view.url("", inlined=True),
        "xid": "/",
        "epoch": len(every),
        "name": "letta-gateway",
        "description": "What each event type promises: one JSON Schema per type and version.",
        **_times(every),
    }
    for name, document in (("capabilities", CAPABILITIES), ("model", MODEL), ("modelsource", MODEL_SOURCE)):
        if inline.has(name):
            entity[name] = document
    return entity | _collection(
        "schemagroups",
        GROUPS,
        view,
        inline,
        count=len(catalogue.groups()),
        members=lambda below: groups(catalogue, view, below),
    )


def groups(catalogue: Catalogue, view: View, inline: Inline) -> Entity:
    """All groups."""
    return {name: group(catalogue, name, view, inline) for name in catalogue.groups()}


def group(catalogue: Catalogue, name: str, view: View, inline: Inline) -> Entity:
    """A group that is there."""
    types = catalogue.group(name) or {}
    xid = f"{GROUPS}/{name}"
    every = [contract.stored for known in types.values() for contract in known.versions]
    entity: Entity = {
        "schemagroupid": name,
        "self": view.url(xid, inlined=True),
        "xid": xid,
        "epoch": len(every),
        **_times(every),
    }
    return entity | _collection(
        "schemas",
        f"{xid}/schemas",
        view,
        inline,
        count=len(types),
        members=lambda below: schemas(types, view, below),
    )


def schemas(types: Mapping[str, EventType], view: View, inline: Inline) -> Entity:
    """The schemas of a group."""
    return {name: schema(known, view, inline) for name, known in types.items()}


def schema(known: EventType, view: View, inline: Inline) -> Entity:
    """A schema; in the API view with what its newest version says."""
    xid = _schema_xid(known)
    entity: Entity = {"schemaid": known.first.name}
    own = {"self": view.url(xid, inlined=True, details=True), "xid": xid}
    if view.doc:
        entity |= own
    else:
        entity |= (
            {"versionid": str(known.newest.stored.version)} | own | _version_attributes(known, known.newest)
        )
        if inline.has("schema"):
            entity["schema"] = known.newest.served
    entity["metaurl"] = view.url(f"{xid}/meta", inlined=inline.has("meta"))
    if inline.has("meta"):
        entity["meta"] = meta(known, view, inlined=inline.has("versions"))
    return entity | _collection(
        "versions",
        f"{xid}/versions",
        view,
        inline,
        count=len(known.versions),
        members=lambda below: versions(known, view, below),
    )


def meta(known: EventType, view: View, *, inlined: bool = False) -> Entity:
    """What a schema is as a whole; ``inlined``: its versions are in this document too."""
    xid = _schema_xid(known)
    newest = known.newest.stored.version
    return {
        "schemaid": known.first.name,
        "self": view.url(f"{xid}/meta", inlined=True),
        "xid": f"{xid}/meta",
        "epoch": len(known.versions),
        **_times(contract.stored for contract in known.versions),
        "readonly": False,
        "compatibility": known.first.compatibility,
        "defaultversionid": str(newest),
        "defaultversionurl": view.url(f"{xid}/versions/{newest}", inlined=inlined, details=True),
        "defaultversionsticky": False,
    }


def versions(known: EventType, view: View, inline: Inline) -> Entity:
    """All versions of a schema, ascending."""
    return {
        str(contract.stored.version): version(known, contract, view, inline) for contract in known.versions
    }


def version(known: EventType, contract: Contract, view: View, inline: Inline) -> Entity:
    """One version."""
    number = contract.stored.version
    xid = f"{_schema_xid(known)}/versions/{number}"
    entity: Entity = {
        "schemaid": known.first.name,
        "versionid": str(number),
        "self": view.url(xid, inlined=True, details=True),
        "xid": xid,
        **_version_attributes(known, contract),
    }
    if inline.has("schema"):
        entity["schema"] = contract.served
    return entity


def _schema_xid(known: EventType) -> str:
    return f"{GROUPS}/{known.first.group}/schemas/{known.first.name}"


def _version_attributes(known: EventType, contract: Contract) -> Entity:
    """What a version says of itself, also where it stands for its schema."""
    stored, said = contract.stored, contract.schema
    described = {"name": said.get("title"), "description": said.get("description")}
    return {
        "epoch": 1,
        **{name: text for name, text in described.items() if text},
        "isdefault": contract is known.newest,
        "createdat": rfc3339(stored.created_at_us),
        "modifiedat": rfc3339(stored.created_at_us),
        "ancestorid": str(max(1, stored.version - 1)),
        "contenttype": MEDIA_TYPE,
        "format": FORMAT,
        "formatvalidated": True,
        "compatibilityvalidated": contract.compatible,
        "eventtype": stored.type,
    }


def _collection(
    name: str, xid: str, view: View, inline: Inline, *, count: int, members: Callable[[Inline], Entity]
) -> Entity:
    inlined = inline.has(name)
    entity: Entity = {f"{name}url": view.url(xid, inlined=inlined)}
    if inlined:
        entity[name] = members(inline.below(name))
    return entity | {f"{name}count": count}


def _times(contracts: Iterable[StoredContract]) -> Entity:
    times = [stored.created_at_us for stored in contracts]
    first, last = (rfc3339(min(times)), rfc3339(max(times))) if times else (_NO_TIME, _NO_TIME)
    return {"createdat": first, "modifiedat": last}
