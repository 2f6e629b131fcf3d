"""Registering: a posted schema becomes the next version of a type, or is refused with everything that is wrong.

What a release ships goes the same way into the registry when the gateway starts, so that all versions of a type are
numbered in one place and a number never stands for two documents (decision 18).
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import anyio
import anyio.to_thread

import contracts
from contracts.compatibility import Breaking, Compatibility, breaking_changes
from contracts.document import Document, NoContractError, document_of
from contracts.export import GROUP
from contracts.json_values import key_of
from gateway.errors import Conflict, FieldError, ReservedName
from gateway.ports import ContractStore, NewContract
from gateway.registry.catalogue import Catalogue, Contract, EventType
from gateway.registry.errors import (
    FORMAT,
    CompatibilityUnknown,
    CompatibilityViolation,
    FormatViolation,
    InvalidAttribute,
    MalformedId,
)
from gateway.registry.naming import ID_CHARS_MAX, is_id, is_reserved, type_at
from schemas import TYPE_PREFIX

_LOGGER = logging.getLogger(__name__)

DOCUMENT_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class Registered:
    """What a request has come to; ``made`` is false where the newest version says the same already."""

    contract: Contract
    made: bool


class Registering:
    """The one who adds to a catalogue, one at a time."""

    def __init__(self, store: ContractStore, catalogue: Catalogue, shipped: contracts.Contracts) -> None:
        self._store = store
        self._shipped = shipped
        self.catalogue = catalogue
        self._turn = anyio.Lock()

    async def begin(self) -> None:
        """Take over what this release ships, and read everything. To be called before the first event."""
        taken = await self._store.adopt(list(shipped_contracts(self._shipped)))
        await self._read()
        for stored in taken:
            found = self.catalogue.event_type(stored.type)
            contract = None if found is None else found.version(str(stored.version))
            if contract is not None and not contract.compatible:
                _LOGGER.warning(
                    "version %s of the contract of %s came with this release and breaks versions registered before: %s",
                    stored.version,
                    stored.type,
                    "; ".join(f"{item.pointer} {item}" for item in contract.breaking()),
                )

    async def register(
        self, group: str, name: str, posted: object, *, compatibility: str | None, by: str | None
    ) -> Registered:
        """Add the next version of the type that a place stands for; it is in force when this returns.

        Args:
            group: The group's id.
            name: The schema's id.
            posted: The JSON Schema; its ``$id`` is ignored.
            compatibility: What the type's versions are to promise each other; None: what they do already, or the
                default.
            by: Who asks, by token id.

        Raises:
            RegistryError: It is not taken; with every reason, as xRegistry types it.
            ReservedName: The type is the gateway's own.
            Conflict: Somebody else has registered a version meanwhile, or there are too many.
        """
        subject = f"/schemagroups/{group}/schemas/{name}"
        type_ = self._type(group, name, subject)
        # In a thread, as the judgement: it may take a while, and events come and go meanwhile.
        document = await anyio.to_thread.run_sync(_document, posted, subject)
        async with self._turn:
            known = self.catalogue.at(group, name)
            mode = _mode(compatibility, known, subject)
            if known is not None:
                if key_of(known.newest.schema) == key_of(document):
                    return Registered(known.newest, made=False)
                await self._judge(document, known, mode, subject)
            wanted = NewContract(
                type=type_,
                group=group,
                name=name,
                document=_bytes(document),
                compatibility=mode,
                by=by,
            )
            version = 1 if known is None else len(known.versions) + 1
            try:
                stored = await self._store.add(wanted, version)
            except Conflict:
                await self._read()
                raise
            return Registered(self.catalogue.put(stored), made=True)

    async def _read(self) -> None:
        for stored in await self._store.all():
            self.catalogue.put(stored)

    def _type(self, group: str, name: str, subject: str) -> str:
        for text in (group, name):
            if not is_id(text):
                detail = f"1 to {ID_CHARS_MAX} of letters, digits and ._~:@-, not beginning with a mark"
                raise MalformedId(subject, id=text[:ID_CHARS_MAX], error_detail=detail)
        type_ = type_at(group, name)
        if is_reserved(type_):
            raise ReservedName(
                f"What {type_} is like is the gateway's own to say.", hint="Choose another type."
            )
        other = self.catalogue.spelled_otherwise(group, name)
        if other is not None:
            detail = f"{other} is there, and ids must not differ in letter case alone"
            raise MalformedId(subject, id=name, error_detail=detail)
        known = self.catalogue.event_type(type_)
        if known is not None and (known.first.group, known.first.name) != (group, name):
            raise Conflict(
                f"{type_} has its contract at /schemagroups/{known.first.group}/schemas/{known.first.name}.",
                hint="Post the next version there.",
            )
        return type_

    async def _judge(self, document: Document, known: EventType, mode: Compatibility, subject: str) -> None:
        older = {contract.stored.version: contract.schema for contract in known.versions}
        found: list[Breaking] = await anyio.to_thread.run_sync(breaking_changes, document, older, mode)
        if found:
            fields = [FieldError(item.pointer, str(item)) for item in found]
            detail = f"It breaks {len(found)} promise{'s' if len(found) > 1 else ''} of older versions."
            raise CompatibilityViolation(subject, detail, fields=fields, compat=mode.value)


def shipped_contracts(known: contracts.Contracts) -> Iterable[NewContract]:
    """What a release brings, in the order of its versions."""
    for type_ in known.types():
        for version in known.versions(type_):
            schema = known.schema(type_, version)
            yield NewContract(
                type=type_,
                group=GROUP,
                name=type_.removeprefix(TYPE_PREFIX),
                document=_bytes({name: value for name, value in schema.items() if name != "$id"}),
                compatibility=Compatibility.FORWARD_TRANSITIVE,
            )


def _document(posted: object, subject: str) -> Document:
    """The posted schema as it is kept, where it can be a contract."""
    try:
        document = document_of(posted)
        if len(_bytes(document)) > DOCUMENT_BYTES_MAX:
            detail = f"The schema has more than {DOCUMENT_BYTES_MAX} bytes."
            raise FormatViolation(subject, detail, format=FORMAT)
        contracts.Compiled(document)
    except NoContractError as refused:
        fields = [FieldError(problem.pointer, problem.detail) for problem in refused.problems]
        raise FormatViolation(subject, "This cannot be a contract.", fields=fields, format=FORMAT) from None
    except contracts.SchemaError as refused:
        fields = [FieldError(refused.problem.pointer, refused.problem.detail)]
        detail = f"This cannot be a contract: {refused}."
        raise FormatViolation(subject, detail, fields=fields, format=FORMAT) from None
    return document


def _mode(asked: str | None, known: EventType | None, subject: str) -> Compatibility:
    try:
        mode = None if asked is None else Compatibility(asked.lower())
    except ValueError:
        raise CompatibilityUnknown(subject, compat=(asked or "")[:64], format=FORMAT) from None
    if known is None:
        return mode or Compatibility.FORWARD_TRANSITIVE
    present = Compatibility(known.first.compatibility)
    if mode not in {None, present}:
        detail = f"it was set to {present} with the first version, and stays"
        raise InvalidAttribute(subject, name="compatibility", error_detail=detail)
    return present


def _bytes(document: Document) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
